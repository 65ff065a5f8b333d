/** Where the cgroup hierarchies of this machine are, and where in them this process lives. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface Hierarchy {
  readonly mountPoint: string;
  /** The folder of this process' own cgroup; the mount point where that cannot be seen. */
  readonly own: string;
}

export interface Hierarchies {
  /** By controller: memory, pids, … */
  readonly v1: ReadonlyMap<string, Hierarchy>;
  readonly v2: Hierarchy | undefined;
}

export function readHierarchies(): Hierarchies {
  try {
    return parseHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'));
  } catch {
    return { v1: new Map(), v2: undefined };
  }
}

/** Takes the texts of /proc/self/mountinfo and /proc/self/cgroup. */
export function parseHierarchies(mountInfo: string, ownCgroups: string): Hierarchies {
  const ownPaths = new Map<string, string>();
  for (const line of ownCgroups.trim().split('\n')) {
    const [, controllers = '', ...rest] = line.split(':');
    for (const controller of controllers.split(',')) ownPaths.set(controller, rest.join(':'));
  }
  const v1 = new Map<string, Hierarchy>();
  let v2: Hierarchy | undefined;
  for (const line of mountInfo.trim().split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '/', mountPoint = ''] = before.split(' ');
    const [type, , options = ''] = after.split(' ');
    if (type === 'cgroup2') v2 ??= hierarchy(mountPoint, root, ownPaths.get(''));
    if (type !== 'cgroup') continue;
    for (const option of options.split(',')) {
      if (ownPaths.has(option)) v1.set(option, hierarchy(mountPoint, root, ownPaths.get(option)));
    }
  }
  return { v1, v2 };
}

/** In a container the mount shows a part of the tree (`root`), while the path of the cgroup may name the whole. */
function hierarchy(mountPoint: string, root: string, ownPath: string | undefined): Hierarchy {
  const inside = ownPath?.startsWith(root) === true ? ownPath.slice(root === '/' ? 0 : root.length) : ownPath;
  const own = path.join(mountPoint, inside ?? '/');
  return { mountPoint, own: existsSync(own) ? own : mountPoint };
}
