/**
 * The zip of a function, byte for byte the same for the same files: names sorted, dates fixed, only the executable
 * bit of the modes kept. So its hash says whether the code changed, and the store keeps the same code once.
 */
import { readFileSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ZipFile } from 'yazl';
import { LIMITS } from '../../base/limits.ts';
import { CliError, EXIT } from '../exit-codes.ts';

export interface PackageFile {
  readonly bytes: Buffer;
  readonly executable: boolean;
}

const MB = 1024 * 1024;

/** Path in the package (with '/') → file. */
export type PackageFiles = Map<string, PackageFile>;

const NEVER_PACKED = new Set(['.git', '.DS_Store', 'perch.json', '.env', '.venv']);
/** Wherever it lies: what Python compiled differs from run to run, and the platform's copy cannot be written. */
const CACHE = '__pycache__';

export async function makeZip(files: PackageFiles): Promise<Buffer> {
  const zip = new ZipFile();
  // The zip format has local times without a zone; the same local time has the same bytes everywhere.
  const mtime = new Date(1980, 0, 1);
  for (const path of [...files.keys()].sort()) {
    const file = files.get(path);
    if (file === undefined) continue;
    const mode = file.executable ? 0o100755 : 0o100644;
    zip.addBuffer(file.bytes, path, { mtime, mode, forceDosTimestamp: true });
  }
  zip.end();
  return Buffer.concat(await zip.outputStream.toArray());
}

/** Adds the files below a folder; links are followed, so that what a package manager linked is there. */
export function addFolder(files: PackageFiles, folder: string, prefix = ''): void {
  const found: Found[] = [];
  findFiles(found, folder, prefix, []);
  // Somebody's whole home folder is refused before it is read.
  const bytes = found.reduce((sum, each) => sum + each.bytes, 0);
  if (found.length > LIMITS.zipEntryCountMax || bytes > LIMITS.unzippedBytesMax) {
    throw new CliError(
      EXIT.usage,
      `${folder} has ${found.length} files with ${Math.ceil(bytes / MB)} MB; a package has at most ${LIMITS.zipEntryCountMax} files with ${LIMITS.unzippedBytesMax / MB} MB. Is it the folder that you mean?`,
    );
  }
  for (const { path, packedPath } of found) addFile(files, path, packedPath);
}

export function addFile(files: PackageFiles, path: string, packedPath: string): void {
  files.set(packedPath, { bytes: readFileSync(path), executable: (statSync(path).mode & 0o111) !== 0 });
}

interface Found {
  readonly path: string;
  readonly packedPath: string;
  readonly bytes: number;
}

function findFiles(found: Found[], folder: string, prefix: string, above: readonly string[]): void {
  const real = realpathSync(folder);
  if (above.includes(real)) {
    throw new CliError(
      EXIT.usage,
      `${folder} is a link that leads back to a folder above it; remove it from the package`,
    );
  }
  for (const name of readdirSync(folder).sort()) {
    if ((prefix === '' && NEVER_PACKED.has(name)) || name === CACHE) continue;
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) findFiles(found, path, `${prefix}${name}/`, [...above, real]);
    else if (stat?.isFile() === true) found.push({ path, packedPath: prefix + name, bytes: stat.size });
    // One more than may be is enough to know.
    if (found.length > LIMITS.zipEntryCountMax) return;
  }
}
