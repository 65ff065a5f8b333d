/**
 * From what the chains of a burst, the object server and the kernel's counters say to the paper's four metrics and ours.
 *
 * The paper (section 2.1): *trigTime* from the trigger of a chain to the start of its first function; *avgInterTime* from the end of a function
 * to the start of the next; *execTime* of the whole chain; *idleTime*, CPU time for which a unit is scheduled without being able to progress, over
 * all of the unit's CPU time. A unit here is one run of a function, and it cannot progress from the moment a request of its is with the kernel until the
 * response begins to arrive.
 *
 * Ours: a chain *wants* a core from its trigger to its end, but for the times for which the object server holds its request back. With C
 * cores, `wanted` is the integral of min(C, chains that want one). Useful CPU time cannot exceed it, since a chain has one core at a time; what of
 * `wanted` was no useful work, nor taken by others on the machine (the platform, the object server, this harness), was idle or wasted on spinning.
 */
import type { ObjectRequest } from './object-server/messages.ts';
import type { ChainRun, StepRecord } from './records.ts';

/** The machine's side of a burst; CPU times in microseconds within it. */
export interface BurstCounters {
  readonly coreCount: number;
  /** Of the platform's cores, by whomever. */
  readonly busyUs: number;
  readonly platformUs: number;
  readonly objectServerUs: number;
  readonly harnessUs: number;
}

/** Times in microseconds; shares are of all core-seconds of the burst: cores × makespan. */
export interface ChainMetrics {
  readonly chainCount: number;
  /** Of triggers, which were tried again. */
  readonly refusedCount: number;
  readonly trigMeanUs: number;
  readonly interMeanUs: number;
  readonly interP50Us: number;
  readonly interP99Us: number;
  readonly execMeanUs: number;
  readonly execMaxUs: number;
  /** Mean CPU time of a chain, and what of it was spent while it could not progress. */
  readonly chainCpuUs: number;
  readonly chainIdleUs: number;
  /** The paper's: the mean over units. */
  readonly idleTimeShare: number;
  /** The same over the CPU time of all units together. */
  readonly idleTimeShareOfAll: number;
  readonly wasteShare: number;
  /** No useful work though wanted, with what others on the machine took. */
  readonly unservedShare: number;
  readonly overheadShare: number;
  readonly platformShare: number;
  readonly objectServerShare: number;
  readonly harnessShare: number;
  /** Of the overhead, what is none of the three: sandboxes that start, and whatever else ran on the machine. */
  readonly strangersShare: number;
  readonly usefulShare: number;
  /** Of the step that takes longest by itself (its CPU time and waits): how many times as long it took. */
  readonly longestSlowdown: number;
  readonly makespanUs: number;
  readonly boundUs: number;
  readonly makespanOverBound: number;
  /** The same with what the object server and this harness had to do counted as work too: it was done on the same cores, though it stands for other machines. */
  readonly makespanOverBoundOfAll: number;
}

export function measure(
  runs: readonly ChainRun[],
  log: readonly ObjectRequest[],
  counters: BurstCounters,
): ChainMetrics {
  const requests = new Map(log.map((request) => [request.id, request]));
  const steps = runs.flatMap((run) => run.steps);
  const beganUs = Math.min(...runs.map((run) => run.triggerUs));
  const makespanUs = Math.max(...runs.map(endUs)) - beganUs;
  const spun = sum(steps.map(spunUs));
  const worked = sum(steps.map(cpuUs));
  const useful = worked - spun;
  const all = counters.coreCount * makespanUs;
  const wanted = wantedUs(
    runs.map((run) => wantingSpans(run, requests)),
    counters.coreCount,
  );
  const overhead = Math.max(0, counters.busyUs - worked);
  // Spread evenly over the burst: what of it fell into times when nobody wanted the core has delayed nobody.
  const unserved = Math.max(0, wanted - useful);
  const waste = Math.max(0, unserved - (overhead * wanted) / all);
  const inters = runs.flatMap(interTimesUs);
  const critical = criticalPathUs(runs, requests);
  const bound = useful / counters.coreCount + critical;
  const otherWork = counters.objectServerUs + counters.harnessUs;
  const boundOfAll = (useful + otherWork) / counters.coreCount + critical;
  return {
    chainCount: runs.length,
    refusedCount: sum(runs.map((run) => run.refusedCount)),
    trigMeanUs: mean(runs.map((run) => run.steps[0]!.startUs - run.triggerUs)),
    interMeanUs: mean(inters),
    interP50Us: quantile(inters, 0.5),
    interP99Us: quantile(inters, 0.99),
    execMeanUs: mean(runs.map((run) => endUs(run) - run.triggerUs)),
    execMaxUs: Math.max(...runs.map((run) => endUs(run) - run.triggerUs)),
    chainCpuUs: worked / runs.length,
    chainIdleUs: spun / runs.length,
    idleTimeShare: mean(steps.map((step) => spunUs(step) / cpuUs(step))),
    idleTimeShareOfAll: spun / worked,
    wasteShare: waste / all,
    unservedShare: unserved / all,
    overheadShare: overhead / all,
    platformShare: counters.platformUs / all,
    objectServerShare: counters.objectServerUs / all,
    harnessShare: counters.harnessUs / all,
    strangersShare: Math.max(0, overhead - counters.platformUs - counters.objectServerUs - counters.harnessUs) / all,
    usefulShare: useful / all,
    longestSlowdown: longestSlowdown(steps, requests),
    makespanUs,
    boundUs: bound,
    makespanOverBound: makespanUs / bound,
    makespanOverBoundOfAll: makespanUs / boundOfAll,
  };
}

function endUs(run: ChainRun): number {
  return run.steps.at(-1)!.endUs;
}

function cpuUs(step: StepRecord): number {
  return step.cpuEndUs - step.cpuStartUs + step.childCpuUs;
}

function spunUs(step: StepRecord): number {
  return sum(step.waits.map((wait) => wait.cpuHeardUs - wait.cpuSentUs));
}

function interTimesUs(run: ChainRun): readonly number[] {
  return run.steps.slice(1).map((step, index) => step.startUs - run.steps[index]!.endUs);
}

export interface Span {
  readonly fromUs: number;
  readonly toUs: number;
}

/** When a chain wants a core: all of its life but for its waits, which end when the object server has responded, heard or not. */
export function wantingSpans(run: ChainRun, requests: ReadonlyMap<string, ObjectRequest>): readonly Span[] {
  const spans: Span[] = [];
  let fromUs = run.triggerUs;
  for (const wait of run.steps.flatMap((step) => step.waits)) {
    spans.push({ fromUs, toUs: wait.sentUs });
    fromUs = respondedUs(wait, requests);
  }
  spans.push({ fromUs, toUs: endUs(run) });
  return spans;
}

/** The response cannot have been heard before it was sent; their notes may cross by microseconds. */
function respondedUs(wait: StepRecord['waits'][number], requests: ReadonlyMap<string, ObjectRequest>): number {
  return Math.min(wait.heardUs, Math.max(wait.sentUs, requests.get(wait.id)?.respondedUs ?? wait.heardUs));
}

/** The integral of min(`coreCount`, chains that want a core). */
export function wantedUs(chains: readonly (readonly Span[])[], coreCount: number): number {
  const changes = chains
    .flat()
    .flatMap(({ fromUs, toUs }) => [
      { atUs: fromUs, by: 1 },
      { atUs: toUs, by: -1 },
    ])
    .sort((a, b) => a.atUs - b.atUs);
  let wanting = 0;
  let lastUs = 0;
  let total = 0;
  for (const { atUs, by } of changes) {
    total += Math.min(coreCount, wanting) * (atUs - lastUs);
    wanting += by;
    lastUs = atUs;
  }
  return total;
}

/** How long a chain takes on an empty machine: its CPU time and its waits. Of the longest kind, the median of its chains. */
function criticalPathUs(runs: readonly ChainRun[], requests: ReadonlyMap<string, ObjectRequest>): number {
  const kinds = Map.groupBy(runs, (run) => run.kind);
  const pathUs = (run: ChainRun): number => sum(run.steps.map((step) => aloneUs(step, requests)));
  return Math.max(...[...kinds.values()].map((chains) => quantile(chains.map(pathUs), 0.5)));
}

function aloneUs(step: StepRecord, requests: ReadonlyMap<string, ObjectRequest>): number {
  const waits = step.waits.map((wait) => respondedUs(wait, requests) - wait.sentUs);
  return cpuUs(step) - spunUs(step) + sum(waits);
}

function longestSlowdown(steps: readonly StepRecord[], requests: ReadonlyMap<string, ObjectRequest>): number {
  const alone = steps.map((step) => aloneUs(step, requests));
  const longest = alone.indexOf(Math.max(...alone));
  return (steps[longest]!.endUs - steps[longest]!.startUs) / alone[longest]!;
}

/** Index floor(n × share) of the sorted values; NaN where there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >>> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
