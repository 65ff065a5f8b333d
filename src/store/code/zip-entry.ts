/**
 * The content of one entry of a zip, inflated as it is read and checked against what the zip's directory says of it.
 * We inflate by ourselves: yauzl's own stream reports an error once and does not end, so whoever is not listening at
 * that moment waits for ever.
 */
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib';
import type { Entry, ZipFile } from 'yauzl';

const STORED = 0;
const LOCAL_HEADER_BYTES = 30;
const LOCAL_HEADER_SIGNATURE = 0x04034b50;
/** Inflated in one go: packages are made of many small files, and a stream for each takes longer than its content. */
const SMALL_BYTES_MAX = 128 * 1024;

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

/** The content of a small entry, checked as `readEntry` does; null where it is not small. `bytes`: the whole zip. */
export function readSmallEntry(bytes: Buffer, entry: Entry): Buffer | null {
  const { compressedSize, uncompressedSize, relativeOffsetOfLocalHeader: start } = entry;
  if (uncompressedSize > SMALL_BYTES_MAX || compressedSize > SMALL_BYTES_MAX) return null;
  if (start + LOCAL_HEADER_BYTES > bytes.length || bytes.readUInt32LE(start) !== LOCAL_HEADER_SIGNATURE) {
    throw new EntryError('its header is not where the zip says');
  }
  const dataStart = start + LOCAL_HEADER_BYTES + bytes.readUInt16LE(start + 26) + bytes.readUInt16LE(start + 28);
  const compressed = bytes.subarray(dataStart, dataStart + compressedSize);
  if (compressed.length < compressedSize) throw new EntryError('fewer bytes than it says');
  const content = entry.compressionMethod === STORED ? compressed : inflateSmall(compressed, uncompressedSize);
  if (content.length > uncompressedSize) throw new EntryError('more bytes than it says');
  if (content.length < uncompressedSize) throw new EntryError('fewer bytes than it says');
  if (crc32(content) !== entry.crc32) throw new EntryError('wrong checksum');
  return content;
}

function inflateSmall(compressed: Buffer, uncompressedSize: number): Buffer {
  try {
    // At least one byte has to be allowed.
    return inflateRawSync(compressed, { maxOutputLength: Math.max(1, uncompressedSize) });
  } catch (error) {
    const tooMany = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    throw new EntryError(tooMany ? 'more bytes than it says' : (error as Error).message);
  }
}
