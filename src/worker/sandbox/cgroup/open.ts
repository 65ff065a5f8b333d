/** Finds out which cgroups this machine offers, removes what dead platform processes left in them, and opens ours. */
import path from 'node:path';
import type { Finding } from '../contract.ts';
import { ownName } from '../identity.ts';
import { type CgroupMissing, type CgroupTree, isTree } from './cgroup.ts';
import { removeLeftovers } from './folder.ts';
import { readHierarchies } from './mounts.ts';
import { openV1 } from './v1.ts';
import { openV2 } from './v2.ts';

export interface CgroupOptions {
  readonly processCountMax: number;
  readonly log: (text: string) => void;
}

let treeCount = 0;

export async function openCgroups(options: CgroupOptions): Promise<CgroupTree | CgroupMissing> {
  const { v1, v2 } = readHierarchies();
  const memory = v1.get('memory');
  const pids = v1.get('pids');
  const mountPoints = [memory, pids, v2].flatMap((hierarchy) => hierarchy?.mountPoint ?? []);
  for (const mountPoint of new Set(mountPoints)) {
    for (const folder of await removeLeftovers(mountPoint)) options.log(`removed the leftover cgroup ${folder}`);
  }
  const name = `${ownName()}-${treeCount++}`;
  if (memory !== undefined) {
    return openV1({
      memoryFolder: path.join(memory.own, name),
      pidsFolder: pids === undefined ? '' : path.join(pids.own, name),
      freezerFolder: v2 === undefined ? '' : path.join(v2.own, name),
      processCountMax: options.processCountMax,
    });
  }
  if (v2 !== undefined) {
    return openV2({ parents: [v2.own, v2.mountPoint], name, processCountMax: options.processCountMax });
  }
  return {
    version: 0,
    detail: 'no cgroup hierarchy with a memory controller is mounted',
    fix: 'Mount cgroup version 2 at /sys/fs/cgroup, and give the container access to it.',
  };
}

/** What becomes of the children and native threads of idle instances here. */
export function freezerFinding(opened: CgroupTree | CgroupMissing): Finding & { readonly required: boolean } {
  const ok = isTree(opened) && opened.freezer;
  const missing = isTree(opened)
    ? 'Mount cgroup version 2 (mount -t cgroup2 none /sys/fs/cgroup/unified), with Linux 5.2 or later.'
    : opened.fix;
  return {
    topic: 'freezer',
    ok,
    required: false,
    detail: ok
      ? 'idle instances are frozen, whole'
      : 'none: what a function leaves running (children, native threads) runs on between its invocations',
    fix: ok ? '' : missing,
  };
}
