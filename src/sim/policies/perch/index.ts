/** Perch's own: the shipped scheduler machine gives each invocation a core of its own. */
import { assert } from '../../../base/assert.ts';
import { REQUEST_COUNT_MAX } from '../../../scheduler/machine/leases.ts';
import { Grant } from '../../../scheduler/machine/actions.ts';
import { LookAhead } from '../../../scheduler/machine/look-ahead.ts';
import { outcome, Scheduler } from '../../../scheduler/machine/scheduler.ts';
import { makePerch } from '../../perch/make.ts';
import type { Lane } from '../../engine/lane.ts';
import type { OptionValues, Policy, PolicyKind } from '../../policy.ts';
import { refuseSeveral } from '../../servers/cores-wanted.ts';
import type { World } from '../../world.ts';

const WARM_HINT_MAX = 30;
const OVERTAKE_MAX = 64;

class PerchPolicy implements Policy {
  readonly #world: World;
  readonly #scheduler: Scheduler;
  readonly #grant = new Grant();
  readonly #lookAhead: LookAhead;
  /** Of the foresight: kept, or the compiler would leave its reads out. */
  touched = 0;
  readonly #toScheduler: Lane;
  readonly #fromWorker: Lane;
  readonly #requested: number;
  readonly #ended: number;
  readonly #released: number;

  constructor(world: World, options: OptionValues) {
    const { engine } = world;
    this.#world = world;
    refuseSeveral(world, 'perch, unlike perch-dedicated,');
    this.#scheduler = openScheduler(world, options);
    this.#lookAhead = new LookAhead(this.#scheduler);
    this.#toScheduler = engine.lane();
    this.#fromWorker = engine.lane();
    this.#requested = engine.kind((job) => this.#request(job));
    this.#ended = engine.kind(
      (job, core) => this.#end(job, core),
      (jobs, cores, count) => this.#foresee(jobs, cores, count),
    );
    this.#released = engine.kind((core, sequence) => this.#release(core, sequence));
  }

  get waitingCount(): number {
    return this.#scheduler.queue.length;
  }

  arrive(job: number): void {
    const { costs, nowUs } = this.#world;
    this.#toScheduler.push(nowUs + costs.gatewayUs + costs.networkUs, this.#requested, job, 0);
  }

  check(): void {
    this.#scheduler.checkInvariants();
  }

  #request(job: number): void {
    if (job >= this.#scheduler.limits.requestCountMax) return this.#world.refuse(job);
    const answer = this.#scheduler.request(job, this.#world.jobs.functionOf(job));
    if (answer > outcome.queued) this.#world.refuse(job);
    else this.#carryOut();
  }

  #carryOut(): void {
    const { engine, jobs, costs, counters, recorder } = this.#world;
    const grant = this.#grant;
    while (this.#scheduler.takeGrant(grant)) {
      const { request: job, core } = grant;
      // Request, grant, payload, release, answer.
      counters.messages += 5;
      // To the gateway, which has the payload, and from there to the worker. Nothing can happen to it on its way, so its start is no event.
      const startUs = engine.nowUs + costs.decisionUs + 2 * costs.networkUs;
      this.#world.started(job, startUs);
      recorder.coresBusy(1, startUs);
      jobs.setMark(job, grant.sequence);
      const runUs = jobs.demandUs(job) + jobs.sleepUs(job);
      engine.at(startUs + costs.startUs + runUs + costs.endUs, this.#ended, job, core);
    }
  }

  #end(job: number, core: number): void {
    const { engine, jobs, costs, recorder } = this.#world;
    recorder.coresBusy(-1, engine.nowUs);
    this.#fromWorker.push(engine.nowUs + costs.networkUs, this.#released, core, jobs.mark(job));
    this.#world.finish(job, costs.networkUs);
  }

  #foresee(jobs: Int32Array, cores: Int32Array, count: number): void {
    this.touched ^= this.#world.jobs.touch(jobs, count) ^ this.#lookAhead.releases(cores, 0, count);
  }

  #release(core: number, sequence: number): void {
    const isKnown = this.#scheduler.release(core, sequence, true);
    assert(isKnown, 'a lease was released that the scheduler does not know');
    this.#carryOut();
  }
}

function openScheduler({ cluster, workload }: World, options: OptionValues): Scheduler {
  const wordCount = Math.ceil(cluster.coreCount / 32) * cluster.serverCount;
  const queueMax = options['queue'] as number;
  const scheduler = new Scheduler({
    epoch: 1,
    coreCountMax: wordCount * 32,
    workerCountMax: cluster.serverCount,
    functionCountMax: workload.functions.length,
    versionCountMax: workload.functions.length,
    requestCountMax: requestCountFor(cluster.serverCount * cluster.coreCount + queueMax),
    queueMax,
    overtakeMax: OVERTAKE_MAX,
    warmHintMax: WARM_HINT_MAX,
  });
  for (let server = 0; server < cluster.serverCount; server++) scheduler.addWorker(cluster.coreCount, cluster.memoryMb);
  for (const [version, { memoryMb }] of workload.functions.entries()) {
    scheduler.setVersion(version, version, memoryMb);
  }
  return scheduler;
}

/** Jobs are numbered as closely as requests have to be, but for those that are on their way to or from the scheduler. */
function requestCountFor(heldCount: number): number {
  return Math.min(REQUEST_COUNT_MAX, heldCount * 2 + 1024);
}

export const perch: PolicyKind = {
  name: 'perch',
  summary: 'one central scheduler gives each invocation a core of its own (the shipped machine)',
  source: 'Kaffes, Yadwadkar, Kozyrakis: Centralized Core-granular Scheduling for Serverless Functions, SoCC 2019',
  options: { queue: { help: 'requests that may wait', default: 100_000, min: 1, max: 200_000, isWhole: true } },
  // What goes wrong, goes wrong at the whole platform.
  make: (world, options) =>
    world.faults === null ? new PerchPolicy(world, options) : makePerch({ sharing: 'dedicated' }, world, options),
};
