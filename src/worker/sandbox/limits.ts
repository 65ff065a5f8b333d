/** Resource limits (setrlimit) of an instance, as prlimit takes them. */
import { LIMITS } from '../../base/limits.ts';

/** No core dumps: they would hold the secrets of the function. */
export const RESOURCE_LIMITS: readonly string[] = ['--core=0', `--nofile=${LIMITS.openFilesPerInstanceMax}`];

export const PROCESS_LIMIT = `--nproc=${LIMITS.processesPerInstanceMax}`;
