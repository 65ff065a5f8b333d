/**
 * The list of certificates that nobody takes any more: a text file with a fingerprint on each line. It lies next to
 * the authority, and is copied to every node. A node that cannot read its list does not start; one that cannot read it
 * any more goes on with the list it had, and says so.
 */
import { statSync } from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import { codeOf, WITHOUT_KEY, readSecretFile } from './secret-file.ts';

const FINGERPRINT = /^[0-9a-f]{64}$/;
const POLL_MS = 2000;

export const NONE_REVOKED: ReadonlySet<string> = new Set();

/** 64 hexadecimal digits, as in our lists, from any of the ways to write them; null if it is none. */
export function parseFingerprint(text: string): string | null {
  const digits = text.replaceAll(':', '').toLowerCase();
  return FINGERPRINT.test(digits) ? digits : null;
}

/** The fingerprints, or what is wrong with the file. */
export function readRevoked(path: string): ReadonlySet<string> | string {
  const read = readSecretFile(path, WITHOUT_KEY);
  if (read.text === null) return read.message;
  const found = new Set<string>();
  for (const [index, line] of read.text.split('\n').entries()) {
    const word = line.replace(/#.*/, '').trim();
    if (word === '') continue;
    const fingerprint = parseFingerprint(word);
    // One line that is passed over is one node that gets in.
    if (fingerprint === null) return `${path}, line ${index + 1}: it has to be a fingerprint of 64 hexadecimal digits.`;
    found.add(fingerprint);
  }
  return found;
}

export interface RevokedWatcher {
  /** The list now. */
  readonly current: () => ReadonlySet<string>;
  stop(): void;
}

/** Reads the list again whenever its file changes, and calls `changed` with it, or with what is wrong. */
export function watchRevoked(
  path: string,
  clock: Clock,
  changed: (revoked: ReadonlySet<string>, message: string | null) => void,
): RevokedWatcher | string {
  const first = readRevoked(path);
  if (typeof first === 'string') return first;
  let current = first;
  let seen = stampOf(path);
  const stop = clock.every(POLL_MS, () => {
    const stamp = stampOf(path);
    if (stamp === seen) return;
    seen = stamp;
    const next = readRevoked(path);
    if (typeof next === 'string') return changed(current, next);
    current = next;
    changed(current, null);
  });
  return { current: () => current, stop };
}

/** Differs after every change of the file. */
function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    return codeOf(error);
  }
}
