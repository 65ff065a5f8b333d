/**
 * Which cores this machine lends to functions. A core is a physical core with all its hardware threads: what shares
 * a core's units of execution would disturb its neighbour. Where there are 4 or more, the first one is left to the
 * platform's own processes.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Below this every core runs functions, and the platform shares them. */
const CORES_TO_KEEP_ONE = 4;

export interface Topology {
  /** For each core of functions, the kernel's numbers of its hardware threads. */
  readonly cores: readonly (readonly number[])[];
  /** Where the platform's own threads run. */
  readonly platformCpus: readonly number[];
  /** False where the machine does not say what its CPUs are: then nothing can be pinned. */
  readonly known: boolean;
}

/** `0-1,3` as numbers; null if it is no such list. */
export function parseCpuList(text: string): number[] | null {
  const cpus = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
    if (match === null) return null;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first) return null;
    for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/** The machine's topology; `chosen` are the CPUs that `--cores` names, null for the default. An Error says what is wrong. */
export function readTopology(chosen: readonly number[] | null): Topology | Error {
  const allowed = allowedCpus();
  if (allowed === null) return unknownTopology(chosen);
  const missing = chosen?.filter((cpu) => !allowed.includes(cpu)) ?? [];
  if (missing.length > 0) {
    return new Error(`--cores names CPU ${missing.join(', ')}, and this process may use ${allowed.join(', ')}`);
  }
  const cores = groupByCore(chosen ?? allowed);
  const keepsOne = chosen === null && cores.length >= CORES_TO_KEEP_ONE;
  const functionCores = keepsOne ? cores.slice(1) : cores;
  const taken = new Set(functionCores.flat());
  const left = allowed.filter((cpu) => !taken.has(cpu));
  return { cores: functionCores, platformCpus: left.length > 0 ? left : allowed, known: true };
}

function groupByCore(cpus: readonly number[]): number[][] {
  const byCore = new Map<string, number[]>();
  for (const cpu of cpus) {
    const siblings = readText(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`) ?? String(cpu);
    const core = byCore.get(siblings);
    if (core === undefined) byCore.set(siblings, [cpu]);
    else core.push(cpu);
  }
  return [...byCore.values()];
}

function allowedCpus(): number[] | null {
  const status = readText('/proc/self/status');
  const match = status === null ? null : /^Cpus_allowed_list:\s*(\S+)$/m.exec(status);
  return match === null ? null : parseCpuList(match[1]!);
}

function unknownTopology(chosen: readonly number[] | null): Topology {
  const count = chosen?.length ?? availableParallelism();
  return { cores: Array.from({ length: count }, () => []), platformCpus: [], known: false };
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
