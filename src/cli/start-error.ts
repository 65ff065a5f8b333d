/** What the start of a platform or node failed with, in words for the operator where it is nothing of ours. */
import type { Address } from '../cluster/node/connect.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { cannotListen } from './node-options.ts';

type NetworkError = NodeJS.ErrnoException & { readonly hostname?: string };

/** To be thrown; a bug of ours stays what it is. `listen`: where other nodes were to reach it. Loads what it takes only now. */
export async function startError(error: unknown, listen?: Address): Promise<unknown> {
  if (listen !== undefined && isOfListening(error as NetworkError, listen)) return cannotListen(listen, error);
  const [{ operatorMessage }, { NoFolderError }] = await Promise.all([
    import('./compose/platform.ts'),
    import('../store/data-folder.ts'),
  ]);
  const message = operatorMessage(error);
  if (message === null) return error;
  return new CliError(error instanceof NoFolderError ? EXIT.usage : EXIT.refused, message);
}

/** The name of another host may be unknown as well, and that is another error. */
function isOfListening({ syscall, hostname }: NetworkError, { host }: Address): boolean {
  return syscall === 'listen' || (syscall === 'getaddrinfo' && hostname === host);
}
