/** What people write: `NAME` or `NAME:option=value,option=value` for policies and workloads, and what a simulation is made of. All of it is plain data. */
import type { Costs } from './costs.ts';
import { checkFault, type FaultSetup, parseFault } from './faults/fault-spec.ts';
import { POLICIES } from './policies/index.ts';
import type { OptionValues, PolicyKind } from './policy.ts';
import type { Setup } from './simulate.ts';
import { SpecError } from './spec-error.ts';
import { parseSpec, valuesOf } from './spec-text.ts';
import { WORKLOADS, type WorkloadKind } from './workloads/index.ts';
import type { Workload } from './workload.ts';

export { SpecError } from './spec-error.ts';

export interface SimulationSpec {
  readonly policy: string;
  readonly workload: string;
  readonly servers: number;
  readonly cores: number;
  readonly memoryMb: number;
  /** null: as the workload was recorded. */
  readonly load: number | null;
  readonly costs: Costs;
  readonly seed: number;
  /** Virtual time in which arrivals are counted; the warm-up goes before it. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** What goes wrong: `KIND:option=value,…` each. */
  readonly faults?: readonly string[];
  /** How often an invocation that was lost is run again; 0 unless given. */
  readonly retries?: number;
  /** After so long a silence a server is taken to be gone; else as the policy has it. */
  readonly silenceSeconds?: number;
}

/** The load goes on for so many times the counted time at most. */
const DRAIN_FACTOR = 10;

export interface SpecNames {
  readonly policies?: readonly PolicyKind[];
  /** Where a workload takes long to make, whoever calls may keep those that it has. */
  readonly workloadOf?: (text: string) => Workload;
}

export function setupOf(spec: SimulationSpec, { policies, workloadOf = parseWorkload }: SpecNames = {}): Setup {
  const { kind, options } = parsePolicy(spec.policy, policies);
  const warmUpUs = spec.warmUpSeconds * 1e6;
  const endUs = warmUpUs + spec.seconds * 1e6;
  return {
    policy: kind,
    options,
    workload: workloadOf(spec.workload),
    cluster: { serverCount: spec.servers, coreCount: spec.cores, memoryMb: spec.memoryMb },
    costs: spec.costs,
    load: spec.load,
    seed: spec.seed,
    warmUpUs,
    endUs,
    drainedUs: warmUpUs + spec.seconds * 1e6 * DRAIN_FACTOR,
    faults: faultsOf(spec),
  };
}

/** null: nothing goes wrong. */
function faultsOf({ faults = [], retries = 0, silenceSeconds, servers }: SimulationSpec): FaultSetup | null {
  if (faults.length === 0) return null;
  const parsed = faults.map(parseFault);
  for (const fault of parsed) checkFault(fault, servers);
  return {
    faults: parsed,
    retryMax: retries,
    silenceUs: silenceSeconds === undefined ? null : silenceSeconds * 1e6,
  };
}

export function parsePolicy(
  text: string,
  policies: readonly PolicyKind[] = POLICIES,
): { kind: PolicyKind; options: OptionValues } {
  const { name, given } = parseSpec(text);
  const kind = policies.find((each) => each.name === name);
  if (kind === undefined) throw new SpecError(`no policy ${name}: there are ${namesOf(policies)}`);
  return { kind, options: valuesOf(`policy ${name}`, kind.options, given) };
}

export function parseWorkload(text: string): Workload {
  const { name, given } = parseSpec(text);
  const kind = WORKLOADS.find((each) => each.name === name);
  if (kind === undefined) throw new SpecError(`no workload ${name}: there are ${namesOf(WORKLOADS)}`);
  return kind.make(valuesOf(`workload ${name}`, kind.options, given));
}

export function namesOf(kinds: readonly (PolicyKind | WorkloadKind)[]): string {
  return kinds.map(({ name }) => name).join(', ');
}
