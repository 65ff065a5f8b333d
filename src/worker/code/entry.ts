/**
 * One folder of the code cache, as it lies on disk:
 *
 *   code/<sha256>/files/        an unpacked zip
 *   code/layers-<hash>/files/   the layers of a list, merged: hard links into the folders of the zips
 *   …/entry.json                what it is made of; written before the folder is renamed into place
 *
 * Nothing of it is synced: after another boot of the machine nobody knows what of it reached the disk, so an entry
 * names the boot that it was made in, and counts in no other.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UserError } from '../../base/errors.ts';
import type { CodeRef } from '../../store/store.ts';

const BLOCK_BYTES = 4096;
const DIRECTORY_ENTRY_BYTES = 64;
const DESCRIPTION = 'entry.json';

/** What `entry.json` says. */
export interface Description {
  readonly boot: string;
  readonly key: string;
  /** Disk that it takes, as `diskBytes` counts. */
  readonly bytes: number;
  /** What it took to fetch and unpack, or to merge. */
  readonly costUs: number;
  /** The zips whose files it links to, of a merged list of layers; of an unpacked zip none. */
  readonly parts: readonly string[];
}

export interface Entry {
  readonly key: string;
  /** What the keep-alive rule knows it by; -1 until it is there. */
  item: number;
  /** What an instance is shown. */
  readonly files: string;
  /** Until it is there; what it resolves to is what went wrong. */
  loading: Promise<UserError | null> | null;
  /** Who counts on it: while there is any it stays. */
  userCount: number;
  /** Goes when the last user lets go of it. */
  doomed: boolean;
  bytes: number;
  costUs: number;
  parts: readonly string[];
  /** Keys of the merged lists that link into it. */
  readonly views: Set<string>;
}

export function newEntry(root: string, key: string): Entry {
  return {
    key,
    item: -1,
    files: join(root, key, 'files'),
    loading: null,
    userCount: 0,
    doomed: false,
    bytes: 0,
    costUs: 0,
    parts: [],
    views: new Set(),
  };
}

/** Layers in their order: the same ones in another order merge to something else. */
export function viewKey(layers: readonly CodeRef[]): string {
  const text = layers.map((layer) => layer.sha256).join('\n');
  return `layers-${createHash('sha256').update(text).digest('hex')}`;
}

/** About what it takes on disk: whole blocks, and a little for every name. */
export function diskBytes(directoryCount: number, entryCount: number, fileSizes: Iterable<number>): number {
  let bytes = directoryCount * BLOCK_BYTES + entryCount * DIRECTORY_ENTRY_BYTES;
  for (const size of fileSizes) bytes += Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  return bytes;
}

/** '' where the machine does not say; then no entry outlives its process. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

export async function writeDescription(folder: string, description: Description): Promise<void> {
  await writeFile(join(folder, DESCRIPTION), JSON.stringify(description), { mode: 0o644 });
}

/** Null for whatever this boot of the machine has not finished. */
export async function readDescription(root: string, key: string, boot: string): Promise<Description | null> {
  const text = await readFile(join(root, key, DESCRIPTION), 'utf8').catch(() => '');
  const found = parse(text);
  return found !== null && boot !== '' && found.boot === boot && found.key === key ? found : null;
}

function parse(text: string): Description | null {
  try {
    const value = JSON.parse(text) as Partial<Description> | null;
    const whole = typeof value?.bytes === 'number' && typeof value.costUs === 'number' && Array.isArray(value.parts);
    return whole ? (value as Description) : null;
  } catch {
    return null;
  }
}
