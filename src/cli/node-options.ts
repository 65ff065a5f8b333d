/** What the commands of a cluster's nodes have in common: who the node is, and whom it takes no more. */
import type { Command } from 'commander';
import { realClock } from '../base/clock.ts';
import type { Identity } from '../cluster/identity/join-file.ts';
import type { Role } from '../cluster/identity/names.ts';
import type { Address } from '../cluster/node/connect.ts';
import type { Log, LogLevel } from '../telemetry/log.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { logLevelOption, parseHostAndPort } from './options.ts';

const DAY_MS = 86_400_000;

export interface NodeOptions {
  readonly join: string;
  readonly revoked?: string;
  readonly logLevel: LogLevel;
  readonly json?: boolean;
}

export interface Node {
  readonly identity: Identity;
  readonly revoked: () => ReadonlySet<string>;
  /** Called whenever the list of revoked certificates has changed. */
  onRevoked(listener: (revoked: ReadonlySet<string>) => void): void;
  readonly log: Log;
  stop(): void;
}

/** --join, --revoked, --log-level and --json: every node has them. */
export function withNode(command: Command): Command {
  return command
    .requiredOption('--join <file>', "this node's join file (see 'perch cluster add')")
    .option('--revoked <file>', 'the list of revoked certificates; read again whenever it changes')
    .addOption(logLevelOption())
    .option('--json', 'print one JSON line when ready');
}

export async function openNode(options: NodeOptions, role: Role): Promise<Node> {
  const [{ readJoinFile }, { NONE_REVOKED, watchRevoked }, { createLog }] = await Promise.all([
    import('../cluster/identity/join-file.ts'),
    import('../cluster/identity/revoked.ts'),
    import('../telemetry/log.ts'),
  ]);
  const log = createLog(options.logLevel);
  const identity = readJoinFile(options.join, realClock.wallMs());
  if (typeof identity === 'string') throw new CliError(EXIT.refused, identity);
  if (!identity.roles.includes(role))
    throw new CliError(
      EXIT.refused,
      `${options.join} makes ${identity.name} no ${role}: 'perch cluster add' says what a node may be.`,
    );
  const stopWarning = warnOfExpiry(identity, log);
  const listeners: ((revoked: ReadonlySet<string>) => void)[] = [];
  const onRevoked = (listener: (revoked: ReadonlySet<string>) => void): void => void listeners.push(listener);
  if (options.revoked === undefined)
    return { identity, revoked: () => NONE_REVOKED, onRevoked, log, stop: stopWarning };
  const watcher = watchRevoked(options.revoked, realClock, (revoked, message) => {
    if (message !== null) log.error(message);
    for (const listener of listeners) listener(revoked);
  });
  if (typeof watcher === 'string') {
    stopWarning();
    throw new CliError(EXIT.refused, watcher);
  }
  const stop = (): void => {
    stopWarning();
    watcher.stop();
  };
  return { identity, revoked: watcher.current, onRevoked, log, stop };
}

/** At the start and each day, since a node may run for longer than its certificate is good. */
function warnOfExpiry(identity: Identity, log: Log): () => void {
  const warn = (): void => {
    const warning = identity.expiryWarning(realClock.wallMs());
    if (warning !== null) log.warn(warning);
  };
  warn();
  return realClock.every(DAY_MS, warn);
}

/** Where that fails, the node is let go of, so that the process can end. */
export async function startOn<T>(node: Node, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    node.stop();
    throw error;
  }
}

/** Of the option, or else of the join file. */
export function whereIs(who: 'scheduler' | 'store', option: Address | undefined, { identity }: Node): Address {
  const known = option ?? parseHostAndPort(identity.whereabouts[who] ?? '');
  if (known !== null) return known;
  throw new CliError(EXIT.usage, `Say where the ${who} is with --${who} HOST:PORT: the join file does not.`);
}

export function cannotListen({ host, port }: Address, error: unknown): CliError {
  return new CliError(EXIT.refused, `Cannot listen on ${host}:${port}: ${(error as NodeJS.ErrnoException).code}.`);
}
