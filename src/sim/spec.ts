/** What people write: `NAME` or `NAME:option=value,option=value` for policies and workloads, and what a simulation is made of. All of it is plain data. */
import type { Costs } from './costs.ts';
import { POLICIES } from './policies/index.ts';
import type { OptionSpec, OptionSpecs, OptionValues, PolicyKind } from './policy.ts';
import type { Setup } from './simulate.ts';
import { SpecError } from './spec-error.ts';
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

function parseSpec(text: string): { name: string; given: ReadonlyMap<string, string> } {
  const [, name = '', rest = ''] = /^([^:]*):?(.*)$/s.exec(text) ?? [];
  const given = new Map<string, string>();
  for (const part of rest.split(',').filter((each) => each !== '')) {
    const at = part.indexOf('=');
    if (at <= 0) throw new SpecError(`'${part}' in '${text}': options are written NAME:option=value,option=value`);
    const key = part.slice(0, at);
    if (given.has(key)) throw new SpecError(`'${key}' is given twice in '${text}'`);
    given.set(key, part.slice(at + 1));
  }
  return { name, given };
}

function valuesOf(what: string, specs: OptionSpecs, given: ReadonlyMap<string, string>): OptionValues {
  for (const key of given.keys()) {
    if (Object.hasOwn(specs, key)) continue;
    const names = Object.keys(specs);
    throw new SpecError(`${what} has no option ${key}: ${names.length === 0 ? 'it has none' : names.join(', ')}`);
  }
  return Object.fromEntries(
    Object.entries(specs).map(([key, spec]) => {
      const text = given.get(key);
      return [key, text === undefined ? spec.default : valueOf(`${what}, option ${key}`, spec, text)];
    }),
  );
}

function valueOf(what: string, spec: OptionSpec, text: string): number | string {
  if (typeof spec.default === 'string') {
    if (spec.choices === undefined || spec.choices.includes(text)) return text;
    throw new SpecError(`${what} is '${text}': it may be ${spec.choices.join(', ')}`);
  }
  const value = Number(text);
  const { min = -Infinity, max = Infinity } = spec;
  if (text.trim() !== '' && value >= min && value <= max) return value;
  throw new SpecError(`${what} is '${text}': it has to be a number from ${min} to ${max}`);
}
