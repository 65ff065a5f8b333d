/** What `perch doctor` finds out about the machine besides its sandbox: Node, cores, memory, disk, programs. */
import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileOnTheWay } from '../../store/data-folder.ts';
import type { Topology } from '../../worker/agent/topology.ts';
import type { Finding } from '../../worker/sandbox/contract.ts';

export interface Diagnosis extends Finding {
  /** Functions cannot run here without it. */
  readonly required: boolean;
}

const NODE_MAJOR = 24;
const MB = 1024 * 1024;
const MEMORY_MB_MIN = 512;
const DISK_MB_MIN = 1024;

export function findNode(): Diagnosis {
  const ok = process.versions.node.startsWith(`${NODE_MAJOR}.`);
  return {
    topic: 'node',
    ok,
    required: true,
    detail: `${process.versions.node} at ${process.execPath}`,
    fix: ok ? '' : `install Node ${NODE_MAJOR} and set PERCH_NODE to it`,
  };
}

/** What `perch up` would lend to functions on this machine. */
export function findCores(topology: Topology | Error): Diagnosis {
  const topic = 'cores';
  if (topology instanceof Error) return { topic, ok: false, required: false, detail: topology.message, fix: '' };
  const { cores, platformCpus, known } = topology;
  if (!known) {
    const detail = `${cores.length} CPUs; this system does not tell which belong to one core, so nothing is pinned`;
    return { topic, ok: true, required: false, detail, fix: '' };
  }
  const cpus = cores.flat();
  const shared = platformCpus.some((cpu) => cpus.includes(cpu));
  const platform = shared ? 'shared with the platform itself' : `the platform itself on CPU ${platformCpus.join(',')}`;
  const noun = cores.length === 1 ? 'core' : 'cores';
  const detail = `${cores.length} ${noun} for functions (--cores ${formatCpuList(cpus)}), ${platform}`;
  return { topic, ok: true, required: false, detail, fix: '' };
}

/** 0, 1, 2, 5 → '0-2,5'. */
function formatCpuList(cpus: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const cpu of [...cpus].sort((a, b) => a - b)) {
    const range = ranges.at(-1);
    if (range !== undefined && range[1] === cpu - 1) range[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',');
}

export function findMemory(): Diagnosis {
  const mb = Math.floor(totalmem() / MB);
  const availableMb = Math.floor(process.availableMemory() / MB);
  const ok = availableMb >= MEMORY_MB_MIN;
  const fix = ok ? '' : `free some: a platform with a few functions wants ${MEMORY_MB_MIN} MB`;
  return { topic: 'memory', ok, required: false, detail: `${availableMb} MB available of ${mb} MB`, fix };
}

/** Whether the data folder, or the nearest folder above it that exists, can be written and has room. */
export function findDataFolder(folder: string): Diagnosis {
  const topic = 'data folder';
  const unusable = { topic, ok: false, required: false, fix: 'give another with --data' };
  const file = fileOnTheWay(folder);
  if (file !== null) return { ...unusable, detail: `${file} is a file, not a folder` };
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  try {
    accessSync(existing, constants.W_OK);
  } catch {
    return { ...unusable, detail: `${folder} cannot be written` };
  }
  const { bavail, bsize } = statfsSync(existing);
  const freeMb = Math.floor((bavail * bsize) / MB);
  const ok = freeMb >= DISK_MB_MIN;
  const fix = ok ? '' : `free some, or give another folder with --data: ${DISK_MB_MIN} MB are a start`;
  return { topic, ok, required: false, detail: `${folder}, ${freeMb} MB free`, fix };
}

/** A program on the PATH that Perch can make use of. */
export function findProgram(program: string, use: string): Diagnosis {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const path = folders.map((folder) => join(folder, program)).find((file) => existsSync(file));
  const ok = path !== undefined;
  return {
    topic: program,
    ok,
    required: false,
    detail: path ?? `not installed; for ${use}`,
    fix: ok ? '' : `install ${program}`,
  };
}
