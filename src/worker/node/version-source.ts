/** What the store says of a version by its key: for versions that are provisioned before any gateway has assigned one. */
import { ask, NoAnswer, type StoreNode } from '../../store/remote/client.ts';
import { PATHS } from '../../store/remote/protocol.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Described } from './ports.ts';

/** Null: the store has none of that key, or what it says is none. `away`: ask again. */
export async function describeFromStore(
  { agent, store, clock }: StoreNode,
  key: string,
  describe: (key: string, body: Buffer) => Described | null,
): Promise<Described | null | 'away'> {
  const answer = await ask(agent, store, clock, {
    method: 'GET',
    path: PATHS.versions + key,
    answerBytesMax: LIMITS.frameVersionBytesMax,
    timeoutMs: LIMITS.storeCallTimeoutMs,
  });
  if (answer instanceof NoAnswer || answer.status >= 500 || answer.status === 429) return 'away';
  return answer.status === 200 ? describe(key, answer.body) : null;
}
