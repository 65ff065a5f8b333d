/**
 * What goes wrong in a simulation, and who hears of it when. When each thing happens is drawn from the seed alone, so it is the same for all policies.
 *
 *   up ──crash──▶ down ──back──▶ up           noticed after `silenceUs`, or as it is back, if that is before
 *   up ──cut───▶ apart ──healed─▶ up          noticed after `silenceUs`, or never
 *
 * One that is down or apart already has no other fault of these before it is up. What is noticed is told to the policy (`gone`, `back`); until then it goes on
 * as if nothing had happened. A server that was noticed to be gone is empty when it comes back, unless the policy sees to that itself (`crash`).
 */
import type { Random } from '../engine/random.ts';
import type { Policy } from '../policy.ts';
import type { World } from '../world.ts';
import type { FailingServers } from './failing-servers.ts';
import type { ChosenServers, Fault, FaultSetup } from './fault-spec.ts';
import { Messages } from './messages.ts';

const NONE = -1;
const State = { up: 0, down: 1, apart: 2 } as const;
/** As the shipped connections have it (`linkSilenceMs`). */
const SILENCE_US = 3_000_000;
/** Until what was lost is run again; it doubles each time, so that where nobody is there it is not all over in a moment. */
const RETRY_US = 100_000;
const RETRY_DOUBLINGS = 6;

export class Faults {
  readonly messages: Messages;
  /** Jobs that end for their policy, and are lost. */
  readonly isLost = new Set<number>();
  readonly #world: World;
  readonly #setup: FaultSetup;
  readonly #random: Random;
  readonly #states: Uint8Array;
  readonly #isGone: Uint8Array;
  /** Since when, and until when, it is not up. */
  readonly #sinceUs: Float64Array;
  readonly #untilUs: Float64Array;
  /** Grows each time that it fails. */
  readonly #falls: Int32Array;
  /** By server: jobs that have ended there, whose answers are held up. */
  readonly #answers: { readonly job: number; readonly atUs: number }[][];
  readonly #retryCounts = new Map<number, number>();
  readonly #affected: readonly (readonly number[])[];
  readonly #kinds: { readonly [K in 'strikes' | 'noticed' | 'ended' | 'eased' | 'retried' | 'settled']: number };
  #schedulerUntilUs = 0;
  #goneCount = 0;
  #fallCount = 0;
  #unavailableUs = 0;
  #policy: Policy | null = null;
  #servers: FailingServers | null = null;

  constructor(world: World, setup: FaultSetup) {
    const { engine, cluster } = world;
    const { serverCount } = cluster;
    this.#world = world;
    this.#setup = setup;
    this.#random = world.random('faults');
    this.#states = new Uint8Array(serverCount);
    this.#isGone = new Uint8Array(serverCount);
    this.#sinceUs = new Float64Array(serverCount);
    this.#untilUs = new Float64Array(serverCount);
    this.#falls = new Int32Array(serverCount);
    this.#answers = Array.from({ length: serverCount }, () => []);
    this.messages = new Messages({
      engine,
      serverCount,
      random: world.random('network'),
      apartUntilUs: (server) => (this.#isCutOff(server) ? this.#untilUs[server]! : 0),
      schedulerUntilUs: () => this.#schedulerUntilUs,
    });
    this.#affected = setup.faults.map(({ servers }) => chosen(servers, serverCount, this.#random));
    this.#kinds = {
      strikes: engine.kind((fault, server) => this.#strike(fault, server)),
      noticed: engine.kind((server, fall) => this.#notice(server, fall)),
      ended: engine.kind((server, fall) => this.#end(server, fall)),
      eased: engine.kind((fault, server) => this.#ease(fault, server)),
      retried: engine.kind((job) => this.#policy?.arrive(job, NONE)),
      settled: engine.kind((server) => this.#settle(server)),
    };
  }

  // ---- what a policy may ask

  /** Whether the server is taken to be gone by everybody. */
  isGone(server: number): boolean {
    return this.#isGone[server] === 1;
  }

  /** How many are not. */
  get knownCount(): number {
    return this.#isGone.length - this.#goneCount;
  }

  /** What it says now arrives. */
  isHeard(server: number): boolean {
    return this.#states[server] === State.up;
  }

  /** The server is dead, whoever knows it. */
  isDown(server: number): boolean {
    return this.#states[server] === State.down;
  }

  /** It runs what it is given, and somebody hears of that. */
  isServing(server: number): boolean {
    return this.#states[server] !== State.down && this.#isGone[server] === 0;
  }

  /** 0 or the past: the scheduler is there. */
  get schedulerUntilUs(): number {
    return this.#schedulerUntilUs;
  }

  // ---- whom it tells

  watch(servers: FailingServers): void {
    this.#servers = servers;
  }

  start(policy: Policy): void {
    this.#policy = policy;
    const { engine, recorder } = this.#world;
    for (const [index, { atUs, everyUs }] of this.#setup.faults.entries()) {
      const beginUs = recorder.setup.warmUpUs + atUs;
      if (everyUs > 0) this.#awaitNext(index, beginUs);
      else for (const server of this.#affected[index]!) engine.at(beginUs, this.#kinds.strikes, index, server);
    }
  }

  // ---- what becomes of jobs

  /** Its answer leaves its server: -1 if it never arrives, or not yet; else how much later than it would. */
  answerDelayUs(job: number): number {
    if (this.isLost.delete(job)) {
      this.#world.lose(job);
      return NONE;
    }
    const place = this.#world.jobs.server(job);
    const server = this.#servers === null ? place : this.#servers.hostOf(place);
    if (server < 0) return 0;
    if (this.#states[server] !== State.apart) return this.messages.drawDelayUs(server);
    // It is not there any more, whoever clears its server.
    this.#world.jobs.setServer(job, NONE);
    if (this.#isGone[server] === 1) this.#world.lose(job);
    else this.#answers[server]!.push({ job, atUs: this.messages.throughUs(server, false) });
    return NONE;
  }

  /** False: it was run again as often as may be. */
  retries(job: number): boolean {
    const count = (this.#retryCounts.get(job) ?? 0) + 1;
    if (count > this.#setup.retryMax) return false;
    const { engine, jobs } = this.#world;
    this.#retryCounts.set(job, count);
    jobs.restart(job);
    jobs.setServer(job, NONE);
    engine.after(RETRY_US * 2 ** Math.min(count - 1, RETRY_DOUBLINGS), this.#kinds.retried, job);
    return true;
  }

  /** The other one is in its place. */
  pass(job: number, other: number): void {
    const count = this.#retryCounts.get(job);
    this.#retryCounts.delete(job);
    if (count !== undefined) this.#retryCounts.set(other, count);
  }

  /** It waits at the server, which fails, or is sent there: it is lost as that is noticed. */
  strand(server: number, job: number): void {
    if (this.#isGone[server] === 1) this.#world.lose(job);
    else this.#answers[server]!.push({ job, atUs: Infinity });
  }

  /** Its number is free. */
  forget(job: number): void {
    this.#retryCounts.delete(job);
  }

  /** Somebody was sent to a server that is known to be gone: its sender hears of it. */
  stranded(server: number): void {
    if (this.#isGone[server] === 1) this.#world.engine.after(0, this.#kinds.settled, server);
  }

  /** Of all servers' counted time, in which share they were down or apart. */
  unavailableShare(nowUs: number): number {
    const { warmUpUs, endUs } = this.#world.recorder.setup;
    let sumUs = this.#unavailableUs;
    for (let server = 0; server < this.#states.length; server++)
      if (this.#states[server] !== State.up) sumUs += this.#countedUs(server, nowUs);
    return sumUs / ((Math.min(nowUs, endUs) - warmUpUs) * this.#states.length);
  }

  counters(): Readonly<Record<string, number>> {
    return { 'servers that failed': this.#fallCount, 'messages held up': this.messages.heldCount };
  }

  // ---- what happens

  #awaitNext(index: number, fromUs: number): void {
    const { everyUs } = this.#setup.faults[index]!;
    const servers = this.#affected[index]!;
    const waitUs = (this.#random.exponential() * everyUs) / servers.length;
    const server = servers[this.#random.below(servers.length)]!;
    this.#world.engine.at(fromUs + waitUs, this.#kinds.strikes, index, server);
  }

  #strike(index: number, server: number): void {
    const fault = this.#setup.faults[index]!;
    const { nowUs, engine } = this.#world;
    if (fault.everyUs > 0) this.#awaitNext(index, nowUs);
    if (fault.isScheduler) {
      this.#schedulerUntilUs = Math.max(this.#schedulerUntilUs, nowUs + fault.forUs);
      this.#policy?.crashScheduler?.(this.#schedulerUntilUs);
    } else if (fault.name === 'crash') this.#fall(server, State.down, fault);
    else if (fault.name === 'partition') this.#fall(server, State.apart, fault);
    else {
      this.#burden(fault, server, true);
      engine.after(fault.forUs, this.#kinds.eased, index, server);
    }
  }

  #ease(index: number, server: number): void {
    this.#burden(this.#setup.faults[index]!, server, false);
  }

  #burden({ name, factor, lostShare, resendUs, servers }: Fault, server: number, isOn: boolean): void {
    if (name === 'slow') {
      const times = isOn ? factor : 1;
      if (this.#servers === null) this.#policy?.slow?.(server, times);
      else this.#servers.slow(server, times);
      return;
    }
    this.messages.lose(server, isOn ? lostShare : 0, resendUs);
    // What concerns no server is lost as often, where frames of all servers are.
    if (servers.isAll) this.messages.lose(NONE, isOn ? lostShare : 0, resendUs);
  }

  #fall(server: number, state: number, { forUs }: Fault): void {
    if (this.#states[server] !== State.up) return;
    const { engine, nowUs } = this.#world;
    const silenceUs = this.#setup.silenceUs ?? this.#policy?.silenceUs ?? SILENCE_US;
    const fall = ++this.#falls[server]!;
    this.#fallCount++;
    this.#states[server] = state;
    this.#sinceUs[server] = nowUs;
    this.#untilUs[server] = nowUs + forUs;
    if (state === State.down) {
      this.#servers?.crash(server);
      this.#policy?.crash?.(server);
      this.messages.breakOff(server);
    }
    // One that is another when it comes back says so by that.
    if (state === State.down || silenceUs < forUs)
      engine.after(Math.min(silenceUs, forUs), this.#kinds.noticed, server, fall);
    engine.after(forUs, this.#kinds.ended, server, fall);
  }

  #notice(server: number, fall: number): void {
    if (this.#falls[server] !== fall || this.#states[server] === State.up) return;
    this.#isGone[server] = 1;
    this.#goneCount++;
    this.#policy?.gone?.(server);
    if (this.#states[server] === State.apart) this.#servers?.crash(server);
    this.#servers?.settle(server);
    for (const { job } of this.#answers[server]!.splice(0)) this.#world.lose(job);
    this.messages.breakOff(server);
  }

  #end(server: number, fall: number): void {
    if (this.#falls[server] !== fall || this.#states[server] === State.up) return;
    const { nowUs } = this.#world;
    this.#unavailableUs += this.#countedUs(server, nowUs);
    const wasGone = this.#isGone[server] === 1;
    // Who was sent there in this very moment.
    if (wasGone) this.#servers?.settle(server);
    this.#states[server] = State.up;
    this.#isGone[server] = 0;
    for (const { job, atUs } of this.#answers[server]!.splice(0)) this.#world.finishLate(job, atUs - nowUs);
    if (!wasGone) return;
    this.#goneCount--;
    this.#policy?.back?.(server);
  }

  /** Its connections are there, and nothing gets through. */
  #isCutOff(server: number): boolean {
    return this.#states[server] === State.apart && this.#isGone[server] === 0;
  }

  #settle(server: number): void {
    if (this.#isGone[server] === 1) this.#servers?.settle(server);
  }

  #countedUs(server: number, nowUs: number): number {
    const { warmUpUs, endUs } = this.#world.recorder.setup;
    return Math.max(0, Math.min(nowUs, endUs) - Math.max(this.#sinceUs[server]!, warmUpUs));
  }
}

function chosen({ named, count, share, isAll }: ChosenServers, serverCount: number, random: Random): readonly number[] {
  if (named.length > 0) return named;
  const all = Array.from({ length: serverCount }, (_, server) => server);
  const drawnCount = count > 0 ? count : share > 0 ? Math.max(1, Math.round(share * serverCount)) : isAll ? 0 : 1;
  if (drawnCount === 0) return all;
  for (let i = 0; i < drawnCount; i++) {
    const from = i + random.below(serverCount - i);
    [all[i], all[from]] = [all[from]!, all[i]!];
  }
  return all.slice(0, drawnCount);
}
