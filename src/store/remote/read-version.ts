/** What a provisioned version is, asked of the store by its key: for a worker that is told to keep some ready. */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { decodeVersion, type VersionBody } from '../../cluster/version-body.ts';
import { ask, awayError, NoAnswer, refusalOf, type StoreNode } from './client.ts';
import { PATHS } from './protocol.ts';

/** ResourceNotFoundException where no provisioned version has this key; ServiceUnavailableException where nobody answers. */
export async function readVersion({ agent, store, clock }: StoreNode, key: string): Promise<VersionBody | UserError> {
  const answer = await ask(agent, store, clock, {
    method: 'GET',
    path: PATHS.versions + key,
    answerBytesMax: LIMITS.frameVersionBytesMax,
    timeoutMs: LIMITS.storeCallTimeoutMs,
  });
  if (answer instanceof NoAnswer) return awayError(store, answer.why);
  if (answer.status !== 200) return refusalOf(answer);
  return decodeVersion(answer.body) ?? new UserError('ServiceException', "The store's answer is no version.");
}
