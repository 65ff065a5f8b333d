/**
 * Reads the directory of a zip and decides what it unpacks to, before anything is written. Everything in a zip is
 * hostile: whatever could land outside the package, or mean different things to different readers, is refused.
 *
 * Why a link cannot lead out: no entry lies below a link, so the folder that holds a link is a real one; its target is
 * relative and climbs (`..`) only at its start and not above the package. Climbing from a real folder goes where it
 * seems to; from there the target only descends, at most through other links, for which the same holds.
 */
import { fromBufferPromise } from 'yauzl';
import type { Entry, ZipFile } from 'yauzl';
import { readEntry } from './zip-entry.ts';

export interface ZipLimits {
  readonly unzippedBytesMax: number;
  /** Entries, and the folders that they imply. */
  readonly zipEntryCountMax: number;
  readonly codePathBytesMax: number;
  readonly symlinkTargetBytesMax: number;
}

export interface PlannedFile {
  readonly path: string;
  readonly entry: Entry;
  readonly mode: 0o644 | 0o755;
}

export interface PlannedLink {
  readonly path: string;
  readonly target: string;
}

export interface ZipPlan {
  /** The whole zip. */
  readonly bytes: Buffer;
  readonly zip: ZipFile;
  /** Parents first. */
  readonly directories: readonly string[];
  readonly files: readonly PlannedFile[];
  readonly links: readonly PlannedLink[];
}

/** Why a zip is refused. `message` is what the client is told. */
export class ZipRefusal {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

const FILE_TYPE_MASK = 0o170000;
const REGULAR = 0o100000;
const DIRECTORY = 0o040000;
const LINK = 0o120000;
const EXECUTABLE = 0o111;
/** Of the systems that a zip can be made on, those that store Unix modes: Unix and macOS. */
const UNIX_SYSTEMS: readonly number[] = [3, 19];
const NAME_BYTES_MAX = 255;

export async function planZip(bytes: Buffer, limits: ZipLimits): Promise<ZipPlan | ZipRefusal> {
  const zip = await reading(fromBufferPromise(bytes, { decodeStrings: false, validateEntrySizes: true }));
  if (zip instanceof ZipRefusal) return zip;
  if (zip.entryCount === 0) return new ZipRefusal('Uploaded file must be a non-empty zip');
  if (zip.entryCount > limits.zipEntryCountMax) return tooMany(limits);
  const plan = new Plan(bytes, zip, limits);
  const entries = zip.eachEntry()[Symbol.asyncIterator]();
  for (;;) {
    const step = await reading(entries.next());
    if (step instanceof ZipRefusal) return step;
    if (step.done) return plan;
    const refusal = await plan.add(step.value);
    if (refusal) return refusal;
  }
}

export function cannotUnzip(detail: string): ZipRefusal {
  return new ZipRefusal(`Could not unzip uploaded file. Please check your file, then try to upload again. (${detail})`);
}

export function tooLarge(limits: ZipLimits): ZipRefusal {
  return new ZipRefusal(`Unzipped size must be smaller than ${limits.unzippedBytesMax} bytes`);
}

/** The name as it may be shown: quoted, escaped, and not longer than a line. */
export function shown(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}

class Plan implements ZipPlan {
  readonly bytes: Buffer;
  readonly zip: ZipFile;
  readonly directories: string[] = [];
  readonly files: PlannedFile[] = [];
  readonly links: PlannedLink[] = [];
  readonly #limits: ZipLimits;
  readonly #kinds = new Map<string, 'directory' | 'leaf'>();
  /** Folders that have an entry of their own. */
  readonly #explicit = new Set<string>();
  #bytes = 0;

  constructor(bytes: Buffer, zip: ZipFile, limits: ZipLimits) {
    this.bytes = bytes;
    this.zip = zip;
    this.#limits = limits;
  }

  async add(entry: Entry): Promise<ZipRefusal | null> {
    const name = decodeName(entry.fileName);
    if (name === null) return cannotUnzip(`a name is not UTF-8: ${shown(entry.fileName.toString('latin1'))}`);
    const path = name.endsWith('/') ? name.slice(0, -1) : name;
    const problem = nameProblem(path, this.#limits) ?? entryProblem(entry, name);
    if (problem) return cannotUnzip(`entry ${shown(name)}: ${problem}`);
    this.#bytes += entry.uncompressedSize;
    if (this.#bytes > this.#limits.unzippedBytesMax) return tooLarge(this.#limits);
    const clash = this.#place(path, name.endsWith('/'));
    if (clash) return cannotUnzip(`entry ${shown(name)}: ${clash}`);
    if (this.#kinds.size > this.#limits.zipEntryCountMax) return tooMany(this.#limits);
    if (name.endsWith('/')) return null;
    const mode = unixMode(entry);
    if ((mode & FILE_TYPE_MASK) === LINK) return this.#addLink(path, entry);
    this.files.push({ path, entry, mode: mode & EXECUTABLE ? 0o755 : 0o644 });
    return null;
  }

  #place(path: string, isDirectory: boolean): string | null {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash);
      if (!this.#addDirectory(parent)) return `${shown(parent)} is not a folder`;
    }
    if (this.#explicit.has(path)) return 'the name is there twice';
    this.#explicit.add(path);
    if (isDirectory) return this.#addDirectory(path) ? null : 'a file has the same name';
    if (this.#kinds.has(path)) return 'a folder has the same name';
    this.#kinds.set(path, 'leaf');
    return null;
  }

  #addDirectory(path: string): boolean {
    const kind = this.#kinds.get(path);
    if (kind) return kind === 'directory';
    this.#kinds.set(path, 'directory');
    this.directories.push(path);
    return true;
  }

  async #addLink(path: string, entry: Entry): Promise<ZipRefusal | null> {
    if (entry.uncompressedSize > this.#limits.symlinkTargetBytesMax) {
      return cannotUnzip(`entry ${shown(path)}: the target of the link is too long`);
    }
    const content = await reading(readWhole(this.zip, entry));
    if (content instanceof ZipRefusal) return content;
    const target = decodeName(content);
    const problem = target === null ? 'the target of the link is not UTF-8' : linkProblem(path, target);
    if (problem) return cannotUnzip(`entry ${shown(path)}: ${problem}`);
    this.links.push({ path, target: target! });
    return null;
  }
}

function tooMany(limits: ZipLimits): ZipRefusal {
  return new ZipRefusal(
    `The zip has too many entries; at most ${limits.zipEntryCountMax} files and folders are allowed`,
  );
}

function decodeName(bytes: Buffer): string | null {
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? text : null;
}

function nameProblem(path: string, limits: ZipLimits): string | null {
  if (path === '') return 'the name is empty';
  if (Buffer.byteLength(path) > limits.codePathBytesMax) return 'the name is too long';
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(path)) return 'the name has control characters';
  if (path.includes('\\')) return 'the name has a backslash; folders are separated by /';
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path)) return 'the name is absolute';
  for (const part of path.split('/')) {
    if (part === '..') return 'the name leaves the package';
    if (part === '' || part === '.') return 'the name is not in its simplest form';
    if (Buffer.byteLength(part) > NAME_BYTES_MAX) return 'the name is too long';
  }
  return null;
}

function entryProblem(entry: Entry, name: string): string | null {
  if (entry.isEncrypted()) return 'it is encrypted';
  if (!entry.canDecodeFileData()) return `compression method ${entry.compressionMethod} is not supported`;
  const type = unixMode(entry) & FILE_TYPE_MASK;
  if (name.endsWith('/')) return type === 0 || type === DIRECTORY ? null : 'it is a folder by name and not by mode';
  return type === 0 || type === REGULAR || type === LINK ? null : 'it is neither a file nor a folder nor a link';
}

function linkProblem(path: string, target: string): string | null {
  if (target === '') return 'the target of the link is empty';
  if (target.includes('\0')) return 'the target of the link has control characters';
  if (target.startsWith('/')) return `the link leads out of the package, to ${shown(target)}`;
  const parts = target.split('/');
  const climb = parts.findIndex((part) => part !== '..');
  const climbed = climb < 0 ? parts.length : climb;
  const depth = path.split('/').length - 1;
  if (climbed > depth || parts.indexOf('..', climbed) >= 0) {
    return `the link leads out of the package, to ${shown(target)}`;
  }
  return null;
}

function unixMode(entry: Entry): number {
  return UNIX_SYSTEMS.includes(entry.versionMadeBy >> 8) ? entry.externalFileAttributes >>> 16 : 0;
}

async function readWhole(zip: ZipFile, entry: Entry): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await readEntry(zip, entry, async (chunk) => void chunks.push(chunk));
  return Buffer.concat(chunks);
}

/** What yauzl and zlib throw while they read from memory is about the zip. */
async function reading<T>(promise: Promise<T>): Promise<T | ZipRefusal> {
  try {
    return await promise;
  } catch (error) {
    return cannotUnzip(error instanceof Error ? error.message : String(error));
  }
}

/** Of the files, as the zip says; what unpacks to more is refused. */
export function unzippedBytesOf(plan: ZipPlan): number {
  return plan.files.reduce((sum, file) => sum + file.entry.uncompressedSize, 0);
}
