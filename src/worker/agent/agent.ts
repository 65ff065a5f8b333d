/**
 * The agent: the worker machine's shell. It starts and kills instances, pins each to the core of its lease, carries
 * payloads to it and answers back, and says when a lease is over.
 *
 * Hot path: `assign` of a warm instance and the answer to it. One write and one read of a socket, one record; a
 * system call to pin only when the instance changes cores. Checked by `npm run bench -- invoke`.
 */
import type { Account } from '../../base/arn.ts';
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { FrameKind } from '../../wire/instance-frame.ts';
import type { LogStore } from '../../store/logs.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { type ActionHandler, Ending, type Kill, SlotState } from '../machine/actions.ts';
import { WorkerMachine } from '../machine/worker.ts';
import { runtimeOf } from '../runtimes/index.ts';
import type { ExitReason, SandboxBackend } from '../sandbox/contract.ts';
import type { Invocation, InvocationRecord, InvocationResult, Lease } from './contract.ts';
import { instanceEnvironment } from './environment.ts';
import { type Answer, Instance } from './instance.ts';
import { InvocationLog } from './invocation-log.ts';
import { PlatformCpus } from './platform-cpus.ts';
import type { Topology } from './topology.ts';
import { AgentMetrics } from './agent-metrics.ts';
import { errorPayload, exitError, timeoutText } from './report.ts';

/** Deadlines are looked at this often; a timeout is late by this at most. */
const TICK_MS = 10;

export interface AgentLimits {
  readonly slotCount: number;
  readonly versionCount: number;
  readonly memoryMb: number;
  readonly initTimeoutMs: number;
  readonly responseBytesMax: number;
  readonly logLineBytesMax: number;
  readonly logBytesPerInvocationMax: number;
  readonly logTailBytesMax: number;
}

export interface AgentSetting {
  readonly topology: Topology;
  readonly limits: AgentLimits;
  readonly account: Account;
}

export interface AgentDoors {
  readonly backend: SandboxBackend;
  readonly clock: Clock;
  readonly logs: LogStore;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** What the agent tells the scheduler. */
export interface AgentEvents {
  released(core: number, sequence: number, warm: boolean): void;
  /** The last idle instance of the version is gone. */
  evicted(versionIndex: number): void;
  /** An instance is gone: what had no slot or memory before may have it now. */
  memoryAvailable(): void;
}

/** What a core runs: from `assign` until its lease is released. */
interface Running {
  readonly lease: Lease;
  readonly invocation: Invocation;
  readonly grantedUs: number;
  readonly log: InvocationLog;
  startedUs: number;
  cold: boolean;
  /** The instance's answer, for the `complete` that follows it. */
  answer: Answer | null;
}

export class Agent {
  readonly #machine: WorkerMachine;
  readonly #doors: AgentDoors;
  readonly #limits: AgentLimits;
  readonly #events: AgentEvents;
  readonly #account: Account;
  readonly #cpusOf: readonly (readonly number[])[];
  readonly #platformCpus: PlatformCpus;
  readonly #instances: (Instance | null)[];
  readonly #running: (Running | null)[];
  readonly #metrics: AgentMetrics;
  /** Results that the current actions came to, each beside its receiver; see #drain. */
  readonly #receivers: Invocation[] = [];
  readonly #results: InvocationResult[] = [];
  #runningCount = 0;
  /** Ends the ticking; null while there is none. */
  #ticking: (() => void) | null = null;
  #stopping = false;
  #onEmpty: (() => void) | null = null;
  readonly #carryOut: ActionHandler = {
    start: (slot, core, versionIndex) => this.#start(slot, core, versionIndex),
    run: (slot, core) => this.#run(slot, core),
    complete: (core, slot, ending) => this.#complete(core, slot, ending),
    release: (core, sequence, warm) => this.#release(core, sequence, warm),
    kill: (slot, why) => this.#kill(slot, why),
    freeze: (slot) => this.#instances[slot]!.freeze(),
    thaw: (slot, core) => this.#thaw(slot, core),
    evicted: (versionIndex) => this.#events.evicted(versionIndex),
  };

  constructor(setting: AgentSetting, doors: AgentDoors, events: AgentEvents) {
    const { topology, limits, account } = setting;
    const cpusOf = topology.cores;
    this.#cpusOf = cpusOf;
    this.#platformCpus = new PlatformCpus(topology);
    this.#limits = limits;
    this.#doors = doors;
    this.#events = events;
    this.#account = account;
    this.#instances = new Array<Instance | null>(limits.slotCount).fill(null);
    this.#running = new Array<Running | null>(cpusOf.length).fill(null);
    this.#machine = new WorkerMachine({
      coreCount: cpusOf.length,
      slotCount: limits.slotCount,
      versionCount: limits.versionCount,
      memoryMb: limits.memoryMb,
      initTimeoutUs: limits.initTimeoutMs * 1000,
    });
    this.#metrics = new AgentMetrics(doors.metrics, this.#machine);
  }

  /** Runs the invocation on the core of its lease; its `done` is called exactly once. */
  assign(lease: Lease, invocation: Invocation): void {
    if (this.#stopping) return invocation.done({ kind: 'refused', why: 'stopping' });
    if (this.#running[lease.core] !== null) return invocation.done({ kind: 'refused', why: 'stale-lease' });
    const { timeoutS, memoryMb } = invocation.fn.config;
    const nowUs = this.#doors.clock.nowUs();
    const run = { versionIndex: invocation.versionIndex, memoryMb, timeoutUs: timeoutS * 1e6 };
    // The core's entry is there before the actions that look it up.
    this.#running[lease.core] = {
      lease,
      invocation,
      grantedUs: nowUs,
      log: new InvocationLog(invocation, this.#doors.logs, this.#limits),
      startedUs: 0,
      cold: false,
      answer: null,
    };
    this.#runningCount++;
    if (!this.#machine.assign(lease.core, lease.sequence, run, nowUs)) {
      this.#running[lease.core] = null;
      this.#runningCount--;
      this.#drain();
      return invocation.done({ kind: 'refused', why: 'no-memory' });
    }
    this.#ticking ??= this.#doors.clock.every(TICK_MS, () => this.#tick());
    this.#drain();
  }

  dropVersion(versionIndex: number): void {
    this.#machine.dropVersion(versionIndex);
    this.#drain();
  }

  /** Resolves when nothing runs, or `graceMs` are over. What is assigned meanwhile runs too. */
  finish(graceMs: number): Promise<void> {
    const { clock } = this.#doors;
    const untilUs = clock.nowUs() + graceMs * 1000;
    return new Promise((resolve) => {
      const stopWaiting = clock.every(TICK_MS, () => {
        if (this.#runningCount > 0 && clock.nowUs() < untilUs) return;
        stopWaiting();
        resolve();
      });
    });
  }

  /** Takes no more, and kills what there is, with a result for what runs; resolves when every instance is gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const empty = new Promise<void>((resolve) => (this.#onEmpty = resolve));
    this.#machine.stop();
    this.#drain();
    if (this.#machine.residentCount > 0) await empty;
    this.#ticking?.();
    this.#ticking = null;
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    this.#machine.checkInvariants();
    assert(this.#receivers.length === 0 && this.#machine.actions.count === 0, 'something was left to do');
    let runningCount = 0;
    for (const [core, running] of this.#running.entries()) {
      if (running !== null) runningCount++;
      assert((running !== null) === this.#machine.slotOf(core) >= 0, `core ${core}: machine and agent disagree`);
    }
    assert(runningCount === this.#runningCount, `${runningCount} run, counted ${this.#runningCount}`);
    assert(
      runningCount + this.#machine.awakeCount === 0 || this.#ticking !== null || this.#stopping,
      'something runs or is to be frozen, and nobody looks at the time',
    );
    for (const [slot, instance] of this.#instances.entries()) {
      const free = this.#machine.stateOf(slot) === SlotState.free;
      assert((instance === null) === free, `slot ${slot}: machine and agent disagree`);
    }
  }

  get residentCount(): number {
    return this.#machine.residentCount;
  }

  /**
   * Carries out what the machine decided, and delivers the results after that: the next invocation is on its way to the
   * core before anybody spends time on the answer of the last one.
   */
  #drain(): void {
    if (!this.#machine.actions.drain(this.#carryOut) || this.#results.length === 0) return;
    const receivers = this.#receivers.splice(0);
    const results = this.#results.splice(0);
    for (let index = 0; index < results.length; index++) receivers[index]!.done(results[index]!);
  }

  #deliver(invocation: Invocation, result: InvocationResult): void {
    this.#receivers.push(invocation);
    this.#results.push(result);
  }

  #tick(): void {
    for (const instance of this.#instances) instance?.tick();
    const nowUs = this.#doors.clock.nowUs();
    this.#machine.tick(nowUs);
    this.#drain();
    this.#platformCpus.update((core) => this.#heldUs(core, nowUs));
    if (this.#runningCount > 0 || this.#machine.awakeCount > 0) return;
    this.#ticking?.();
    this.#ticking = null;
  }

  #heldUs(core: number, nowUs: number): number {
    const running = this.#running[core] ?? null;
    return running === null ? 0 : nowUs - running.grantedUs;
  }

  // --- actions of the machine -------------------------------------------------------------------------------

  #start(slot: number, core: number, versionIndex: number): void {
    const running = this.#on(core);
    const { fn, codeDir } = running.invocation;
    const runtime = runtimeOf(fn.config.runtime);
    running.cold = true;
    const sandbox = this.#doors.backend.start({
      slot,
      codeDir,
      layersDir: '',
      runtimeDir: runtime.dir,
      interpreter: runtime.interpreter(),
      args: runtime.args(fn.config.memoryMb),
      env: instanceEnvironment(fn, runtime, this.#account, this.#limits.responseBytesMax),
      memoryMb: fn.config.memoryMb,
      cpus: this.#cpusOf[core]!,
      network: 'host',
    });
    this.#metrics.started.add();
    const identity = { slot, versionIndex, functionName: fn.functionName, startedUs: this.#doors.clock.nowUs() };
    const limits = { responseBytesMax: this.#limits.responseBytesMax, logBytesMax: this.#limits.logLineBytesMax };
    const instance = new Instance(
      identity,
      sandbox,
      {
        ready: () => this.#onReady(instance),
        answer: (_, answer) => this.#onAnswer(instance, answer),
        log: (_, text, bytes) => this.#onLog(instance, text, bytes),
        lost: () => this.#onLost(instance),
        broke: (_, message) => this.#onBroke(instance, message),
        exited: (_, reason) => this.#onExited(instance, reason),
      },
      limits,
    );
    this.#instances[slot] = instance;
  }

  #run(slot: number, core: number): void {
    const running = this.#on(core);
    const instance = this.#instances[slot]!;
    const { clock } = this.#doors;
    this.#pin(instance, core);
    running.startedUs = clock.nowUs();
    running.log.start();
    instance.invoke(running.invocation, clock.wallMs() + running.invocation.fn.config.timeoutS * 1000);
  }

  /** Where it was before, another instance may run by now. */
  #thaw(slot: number, core: number): void {
    const instance = this.#instances[slot]!;
    this.#pin(instance, core);
    instance.thaw();
  }

  #pin(instance: Instance, core: number): void {
    if (instance.pin(core, this.#cpusOf[core]!)) this.#metrics.pins.add();
  }

  #complete(core: number, slot: number, ending: Ending): void {
    const running = this.#on(core);
    const instance = this.#instances[slot] ?? null;
    const { invocation } = running;
    if (ending === Ending.answered && running.answer!.kind === FrameKind.badPayload) {
      this.#metrics.result('bad-payload');
      return this.#deliver(invocation, { kind: 'bad-payload', message: running.answer!.body.toString('utf8') });
    }
    const record = this.#record(running, instance);
    const { kind, payload } = this.#payload(running, instance, ending);
    running.log.end(record);
    this.#metrics.ended(kind, ending, record);
    this.#deliver(invocation, { kind, payload, record, tail: running.log.tail() });
  }

  #release(core: number, sequence: number, warm: boolean): void {
    this.#running[core] = null;
    this.#runningCount--;
    this.#events.released(core, sequence, warm);
  }

  #kill(slot: number, why: Kill): void {
    const instance = this.#instances[slot]!;
    this.#metrics.killed(why);
    instance.kill();
  }

  // --- what instances do ------------------------------------------------------------------------------------

  #onReady(instance: Instance): void {
    if (this.#machine.stateOf(instance.slot) !== SlotState.starting) {
      return this.#onBroke(instance, 'it was ready before');
    }
    const nowUs = this.#doors.clock.nowUs();
    instance.initUs = nowUs - instance.startedUs;
    this.#machine.ready(instance.slot, nowUs);
    this.#drain();
  }

  #onAnswer(instance: Instance, answer: Answer): void {
    const core = this.#machine.coreOf(instance.slot);
    const running = core < 0 ? null : this.#running[core]!;
    // Before it is ready it can only fail to become so; it was told no invocation yet.
    const isInit = this.#machine.stateOf(instance.slot) === SlotState.starting;
    const known = isInit === (answer.kind === FrameKind.initError) && answer.sequence === instance.sequence;
    if (running === null || !known || running.answer !== null) {
      return this.#onBroke(instance, `an answer to nothing: kind ${answer.kind}, sequence ${answer.sequence}`);
    }
    running.answer = answer;
    this.#machine.answered(instance.slot, answer.last);
    this.#drain();
  }

  #onLog(instance: Instance, text: string, bytes: number): void {
    const core = this.#machine.coreOf(instance.slot);
    this.#metrics.logBytes.add(bytes);
    // Between two invocations only children and native code can write: it belongs to the function all the same.
    if (core < 0) return;
    if (!this.#on(core).log.write(text, bytes)) this.#metrics.logDropped.add(bytes);
  }

  #onBroke(instance: Instance, message: string): void {
    this.#doors.log.warn(
      { function: instance.functionName, slot: instance.slot, message },
      'an instance broke its protocol',
    );
    this.#machine.broke(instance.slot);
    this.#drain();
  }

  #onLost(instance: Instance): void {
    this.#machine.lost(instance.slot);
    this.#drain();
  }

  #onExited(instance: Instance, reason: ExitReason): void {
    const { slot } = instance;
    const entry = { function: instance.functionName, slot, reason };
    if (reason.kind === 'start-failed') this.#doors.log.error(entry, 'a sandbox did not start');
    else this.#doors.log.debug(entry, 'an instance ended');
    this.#metrics.exited(reason);
    this.#machine.exited(slot);
    this.#drain();
    // The core's next invocation may have started another instance in the slot already.
    if (this.#instances[slot] === instance) this.#instances[slot] = null;
    this.#events.memoryAvailable();
    if (this.#machine.residentCount === 0) this.#onEmpty?.();
  }

  // --- results ----------------------------------------------------------------------------------------------

  #payload(
    running: Running,
    instance: Instance | null,
    ending: Ending,
  ): { kind: 'response' | 'error'; payload: Buffer } {
    const { requestId, fn } = running.invocation;
    const { log } = running;
    switch (ending) {
      case Ending.answered: {
        const { kind, body } = running.answer!;
        return { kind: kind === FrameKind.response ? 'response' : 'error', payload: body };
      }
      case Ending.timedOut: {
        const what = timeoutText(fn.config.timeoutS);
        log.note(`${new Date(this.#doors.clock.wallMs()).toISOString()} ${requestId} ${what}\n`);
        return { kind: 'error', payload: errorPayload('Sandbox.Timedout', requestId, what) };
      }
      case Ending.initTimedOut: {
        const what = `Initialisation took longer than ${this.#limits.initTimeoutMs} ms`;
        return { kind: 'error', payload: errorPayload('Runtime.InitTimeout', requestId, what) };
      }
      case Ending.broke:
        return {
          kind: 'error',
          payload: errorPayload('Runtime.InvalidProtocol', requestId, 'The instance broke the protocol of its channel'),
        };
      case Ending.exited: {
        const { type, what } = exitError(instance?.exit ?? { kind: 'killed' });
        log.note(`RequestId: ${requestId} Error: ${what}\n${type}\n`);
        return { kind: 'error', payload: errorPayload(type, requestId, what) };
      }
    }
  }

  #record(running: Running, instance: Instance | null): InvocationRecord {
    const nowUs = this.#doors.clock.nowUs();
    const started = running.startedUs > 0;
    const runUs = started ? nowUs - running.startedUs : 0;
    const initUs = running.cold ? (instance?.initUs ?? 0) : 0;
    return {
      core: running.lease.core,
      start: running.cold ? 'cold' : 'warm',
      queuedAt: running.invocation.queuedAt,
      queuedUs: running.grantedUs - running.invocation.acceptedUs,
      startUs: (started ? running.startedUs : nowUs) - running.grantedUs,
      initUs,
      runUs,
      // Initialisation is billed with the invocation that caused it, as Lambda does since 2025.
      billedMs: Math.max(1, Math.ceil((runUs + initUs) / 1000)),
      memoryPeakMb: instance?.memoryPeakMb(nowUs) ?? 0,
    };
  }

  #on(core: number): Running {
    const running = this.#running[core] ?? null;
    assert(running !== null, `core ${core} runs nothing`);
    return running;
  }
}
