/**
 * The content of one entry of a zip, inflated as it is read and checked against what the zip's directory says of it.
 * We inflate by ourselves: yauzl's own stream reports an error once and does not end, so whoever is not listening at
 * that moment waits for ever.
 */
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import type { Entry, ZipFile } from 'yauzl';

const STORED = 0;

/** The content is not what the zip says. */
export class EntryError extends Error {}

/**
 * Throws an EntryError, what zlib throws, or what `sink` throws. More bytes than the directory says never reach the
 * sink, so the sizes in the directory bound what a bomb can do.
 */
export async function readEntry(zip: ZipFile, entry: Entry, sink: (chunk: Buffer) => Promise<void>): Promise<void> {
  let byteCount = 0;
  let checksum = 0;
  const check = async (source: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of source) {
      byteCount += chunk.length;
      if (byteCount > entry.uncompressedSize) throw new EntryError('more bytes than it says');
      checksum = crc32(chunk, checksum);
      await sink(chunk);
    }
  };
  const compressed = await zip.openReadStreamPromise(entry, { decodeFileData: false });
  if (entry.compressionMethod === STORED) await pipeline(compressed, check);
  else await pipeline(compressed, createInflateRaw(), check);
  if (byteCount < entry.uncompressedSize) throw new EntryError('fewer bytes than it says');
  if (checksum !== entry.crc32) throw new EntryError('wrong checksum');
}
