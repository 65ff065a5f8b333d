/**
 * Several layers as one folder. As on Lambda each is laid over the ones before: of two files with one name the later
 * layer's stays, folders are united, and where a file meets a folder the later layer's kind stays.
 *
 * Only folders are made. Everything else is a second name for what lies in the layers' own folders already, so the file
 * system of the data folder must have hard links (all that Linux keeps its own files on do).
 */
import { chmod, link, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Where each path comes from; null for a folder. */
type Tree = Map<string, string | null>;

/** Links made at once. */
const LINKER_COUNT = 8;

export interface MergePlan {
  /** A folder comes before what lies in it. */
  readonly folders: readonly string[];
  readonly files: readonly (readonly [path: string, source: string])[];
}

export async function planMerge(layers: readonly string[]): Promise<MergePlan> {
  const tree: Tree = new Map();
  for (const layer of layers.toReversed()) await layUnder(tree, layer);
  const folders: string[] = [];
  const files: [path: string, source: string][] = [];
  for (const [path, source] of tree) {
    if (source === null) folders.push(path);
    else files.push([path, source]);
  }
  return { folders: folders.toSorted(), files };
}

/** `target` is not there yet. */
export async function writeMerge(plan: MergePlan, target: string): Promise<void> {
  for (const path of ['', ...plan.folders]) {
    await mkdir(join(target, path));
    await chmod(join(target, path), 0o755);
  }
  const rest = plan.files.values();
  await Promise.all(Array.from({ length: LINKER_COUNT }, () => linkAll(rest, target)));
}

/** From the last layer to the first, so that what is there already stays. */
async function layUnder(tree: Tree, layer: string): Promise<void> {
  for (const found of await readdir(layer, { recursive: true, withFileTypes: true })) {
    const path = join(found.parentPath, found.name).slice(layer.length + 1);
    if (tree.has(path) || isBelowFile(tree, path)) continue;
    tree.set(path, found.isDirectory() ? null : join(layer, path));
  }
}

function isBelowFile(tree: Tree, path: string): boolean {
  for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
    if (typeof tree.get(path.slice(0, slash)) === 'string') return true;
  }
  return false;
}

async function linkAll(files: Iterator<readonly [path: string, source: string]>, target: string): Promise<void> {
  for (let step = files.next(); !step.done; step = files.next()) {
    const [path, source] = step.value;
    // On Linux this gives a symbolic link itself a second name, not what it leads to.
    await link(source, join(target, path));
  }
}
