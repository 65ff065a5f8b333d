import { existsSync, readdirSync } from 'node:fs';
import { readHierarchies } from '../../src/worker/sandbox/cgroup/mounts.ts';

/** The names of those that this platform or worker has made and not removed. */
export function cgroupsOf(processId: number): string[] {
  const { v1, v2 } = readHierarchies();
  return [...v1.values(), ...(v2 === undefined ? [] : [v2])]
    .flatMap(({ own, mountPoint }) => [own, mountPoint])
    .filter((place) => existsSync(place))
    .flatMap((place) => readdirSync(place).filter((name) => name.startsWith(`perch-${processId}-`)));
}
