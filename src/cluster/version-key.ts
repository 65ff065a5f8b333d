/** The names of function versions on the wire: the beginning of a SHA-256, so that they have one length and are the same everywhere. */
import { createHash } from 'node:crypto';
import type { Isolation } from '../store/settings.ts';
import type { FunctionVersion } from '../store/store.ts';
import { KEY_BYTES } from '../wire/cluster-frame.ts';

/** What an instance of it depends on: what differs in any of these has another key, and shares no instance. 32 hexadecimal digits. */
export function versionKey(accountId: string, fn: FunctionVersion, isolation: Isolation): string {
  return digest(['version', accountId, fn.functionName, fn.version, fn.revisionId, isolation]);
}

/** Over these reserved concurrency counts. 32 hexadecimal digits. */
export function functionKey(accountId: string, functionName: string): string {
  return digest(['function', accountId, functionName]);
}

/** As JSON, in which no two lists of texts are the same text. */
function digest(parts: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('hex');
  return hash.slice(0, 2 * KEY_BYTES);
}
