/** Resource limits (setrlimit) of an instance, as prlimit takes them. */
import { LIMITS } from '../../base/limits.ts';

/** No core dumps: they would hold the secrets of the function. */
export const RESOURCE_LIMITS: readonly string[] = ['--core=0', `--nofile=${LIMITS.openFilesPerInstanceMax}`];

export const PROCESS_LIMIT = `--nproc=${LIMITS.processesPerInstanceMax}`;

/**
 * Of a zygote and its copies together, which have one user. Each is limited by its cgroup; but a process that is moved into
 * a cgroup is let in beyond the limit, and a zygote can do so with the cgroups of its copies. The machine's numbers are finite.
 */
const COPIES_AT_FULL_LIMIT = 64;
export const FAMILY_PROCESS_LIMIT = `--nproc=${LIMITS.processesPerInstanceMax * COPIES_AT_FULL_LIMIT}`;
