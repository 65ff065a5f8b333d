/** The last lines of a log, read from the end of its files. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export async function readTail(folder: string, lineCount: number): Promise<string> {
  if (lineCount <= 0) return '';
  const newest = await readLines(join(folder, 'log'), lineCount);
  const missing = lineCount - newest.lineCount;
  if (missing === 0) return newest.text;
  const older = await readLines(join(folder, 'log.1'), missing);
  return older.text + newest.text;
}

interface Lines {
  readonly text: string;
  readonly lineCount: number;
}

async function readLines(path: string, lineCount: number): Promise<Lines> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { text: '', lineCount: 0 };
    throw error;
  }
  try {
    return await lastLines(handle, lineCount);
  } finally {
    await handle.close();
  }
}

async function lastLines(handle: FileHandle, lineCount: number): Promise<Lines> {
  const { size } = await handle.stat();
  const chunks: Buffer[] = [];
  let position = size;
  let ends = 0;
  // One line end more than lines: the one before the first of them.
  while (position > 0 && ends <= lineCount) {
    const length = Math.min(CHUNK_BYTES, position);
    position -= length;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position);
    const chunk = buffer.subarray(0, bytesRead);
    chunks.unshift(chunk);
    ends += countEnds(chunk);
  }
  let bytes = Buffer.concat(chunks);
  // Half a line, of a kill or of a full disk.
  if (bytes.length > 0 && bytes.at(-1) !== NEWLINE) {
    bytes = Buffer.concat([bytes, Buffer.from('\n')]);
    ends++;
  }
  for (; ends > lineCount; ends--) bytes = bytes.subarray(bytes.indexOf(NEWLINE) + 1);
  return { text: bytes.toString('utf8'), lineCount: ends };
}

function countEnds(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
