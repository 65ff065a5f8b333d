/** One life of a worker: the shipped machine of leases, its lines, and an agent. It is to them what worker/node/worker-server.ts and cli/compose/worker-node.ts are. */
import { extraSeatCountOf } from '../../worker/agent/sharing-setting.ts';
import { GatewayLine } from '../../worker/node/gateway-line.ts';
import type { Word } from '../../worker/node/ports.ts';
import { SchedulerFrames, SchedulerLine } from '../../worker/node/scheduler-line.ts';
import type { Welcome } from '../../worker/node/cores.ts';
import { WorkerNode } from '../../worker/node/worker-node.ts';
import { CloseReason, ClusterKind, Role } from '../../wire/cluster-frame.ts';
import { type Direction, GatewayToWorker, SchedulerToWorker } from '../../wire/cluster/directions.ts';
import { HelloFrame } from '../../wire/cluster/large-frames.ts';
import type { Random } from '../engine/random.ts';
import { SimulatedAgent } from './agent.ts';
import type { Shares, WorkerSpec } from './case.ts';
import type { Functions } from './functions.ts';
import type { Invocation } from './invocation.ts';
import type { Accepted, LinkEnd, Net } from './net.ts';
import { SCHEDULER } from './scheduler-host.ts';
import type { VirtualTime } from './time.ts';
import { exponentialOf } from './waits.ts';

const TICK_MS = 1000;
/** What was granted and not yet assigned when the cores were withdrawn is on its way for less. */
const DRAIN_US = 1_000_000;
const DRAIN_MAX_US = 3_000_000;
const STOP_LOOK_US = 10_000;
const VERSION_COUNT_MAX = 12;
const STORE_US = 2000;

export interface WorkerDoors {
  readonly time: VirtualTime;
  readonly net: Net;
  readonly random: Random;
  readonly functions: Functions;
  readonly invocations: ReadonlyMap<string, Invocation>;
  readonly shares: Shares;
  readonly redialUs: () => number;
  /** It has stopped, as it was asked to. */
  readonly gone: () => void;
}

interface GatewayEnd {
  readonly end: LinkEnd;
  readonly life: number;
  readonly line: GatewayLine;
}

export class WorkerHost {
  readonly name: string;
  readonly node: WorkerNode;
  readonly agent: SimulatedAgent;
  readonly spec: WorkerSpec;
  readonly #life: number;
  readonly #doors: WorkerDoors;
  readonly #gateways = new Map<string, GatewayEnd>();
  readonly #stopTicking: () => void;
  #port: WithdrawingFrames | null = null;
  /** Cores that the operator has withdrawn, as bits. */
  #out = 0;
  #isDead = false;
  #isStopping = false;

  constructor({ name, life, spec }: { name: string; life: number; spec: WorkerSpec }, doors: WorkerDoors) {
    const { time, net, random, functions, shares, invocations } = doors;
    this.name = name;
    this.spec = spec;
    this.#life = life;
    this.#doors = doors;
    const later = (delayUs: number, what: () => void): void => this.#later(delayUs, what);
    this.agent = new SimulatedAgent(
      spec,
      { random, functions, shares, invocations, nowUs: () => time.nowUs(), later },
      {
        released: (seat, sequence, warm) => this.node.released(seat, sequence, warm),
        openSeat: (seat) => this.node.setOpen(seat, true),
        closeSeat: (seat) => this.node.setOpen(seat, false),
        warmed: (version) => this.node.warmed(version),
        evicted: (version) => this.node.evicted(version),
        memoryAvailable: () => this.node.memoryAvailable(),
      },
    );
    const extraSeatCount = extraSeatCountOf(spec, spec.coreCount);
    this.node = new WorkerNode(
      { coreCount: spec.coreCount, extraSeatCount, versionCountMax: VERSION_COUNT_MAX },
      this.agent,
      { describe: (key) => later(STORE_US * exponentialOf(random), () => this.#described(key)) },
    );
    this.#stopTicking = time.every(TICK_MS, () => this.node.tick(), name);
    net.listen(name, (end, hello) => this.#accept(end, hello));
    this.agent.start();
    this.#dial();
  }

  /** All that it was is gone, and nobody is told. */
  die(): void {
    this.#isDead = true;
    this.#stopTicking();
  }

  /** It takes no more, and goes when what runs has ended, or does not end. */
  stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const untilUs = this.#doors.time.nowUs() + DRAIN_MAX_US;
    this.node.withdraw();
    this.#later(DRAIN_US, () => this.#goOnceIdle(untilUs));
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** These cores are withdrawn, and no others. */
  withdraw(bits: number): void {
    const { coreCount } = this.spec;
    const before = this.#out;
    this.#out = bits & (2 ** coreCount - 1);
    for (let core = 0; core < coreCount; core++) {
      const isOut = ((this.#out >>> core) & 1) === 1;
      if (isOut !== (((before >>> core) & 1) === 1)) this.agent.setOut(core, isOut);
    }
    if (this.#port !== null && !this.#isStopping) this.#port.announce({ ...this.node.cores.word(0), last: false });
  }

  get outBits(): number {
    return this.#out;
  }

  pending(): string[] {
    const held = this.agent.pending().map((what) => `${this.name}: ${what}`);
    return this.node.isJoined ? held : [...held, `${this.name} has no scheduler`];
  }

  check(): void {
    this.node.checkInvariants();
    this.agent.check();
  }

  #later(delayUs: number, what: () => void): void {
    const unlessDead = (): void => {
      if (!this.#isDead) what();
    };
    this.#doors.time.later(delayUs, unlessDead, this.name);
  }

  #described(key: string): void {
    const answer = this.#doors.random.below(10) === 0 ? 'away' : this.#doors.functions.described(key);
    this.node.described(key, answer);
  }

  #goOnceIdle(untilUs: number): void {
    const { time } = this.#doors;
    if (this.agent.isBusy && time.nowUs() < untilUs) return this.#later(STOP_LOOK_US, () => this.#goOnceIdle(untilUs));
    this.node.stop();
    this.agent.stop();
    this.#goOnceEmpty();
  }

  #goOnceEmpty(): void {
    if (this.agent.residentCount > 0) return this.#later(STOP_LOOK_US, () => this.#goOnceEmpty());
    this.agent.close();
    this.#port?.end.close(CloseReason.stopping);
    for (const { end } of Array.from(this.#gateways.values())) end.close(CloseReason.stopping);
    this.#doors.gone();
  }

  // ---- the scheduler

  #dial(): void {
    const { net, redialUs } = this.#doors;
    let welcomed: Welcome | null = null;
    let port: WithdrawingFrames | null = null;
    const end: LinkEnd = net.dial(this.name, SCHEDULER, this.#hello(ClusterKind.hello), {
      greeted: ({ epoch, firstCore, extraSeatCount, floor }): Direction | CloseReason => {
        if (!this.node.mayFollow(epoch)) return CloseReason.staleEpoch;
        welcomed = { epoch, firstCore, extraSeatCount, floor };
        return new SchedulerToWorker(new SchedulerLine(this.node, end));
      },
      opened: () => {
        port = new WithdrawingFrames(end, () => this.#out);
        this.#port = port;
        this.node.welcomed(port, welcomed!);
      },
      closed: () => {
        if (port !== null) this.node.left(port);
        if (this.#port === port) this.#port = null;
        this.#later(redialUs(), () => {
          if (!this.#isStopping || this.agent.residentCount > 0) this.#dial();
        });
      },
    });
  }

  #hello(kind: HelloFrame['kind']): HelloFrame {
    const { node, spec } = this;
    const hello = new HelloFrame(kind);
    const { firstCore, epoch, cores } = node;
    Object.assign(hello, { role: Role.worker, name: this.name, life: this.#life, epoch });
    if (kind === ClusterKind.welcome) return hello;
    const size = { coreCount: cores.count, extraSeatCount: cores.extraSeatCount, memoryMb: spec.memoryMb };
    return Object.assign(hello, { firstCore, ...size, host: this.name, port: 1 });
  }

  // ---- gateways

  #accept(end: LinkEnd, hello: HelloFrame): Accepted | CloseReason {
    const { name, life } = hello;
    const older = this.#gateways.get(name);
    if (older !== undefined && older.life !== life) return CloseReason.nameTaken;
    if (older !== undefined) {
      this.#gateways.delete(name);
      older.line.left();
      older.end.close(CloseReason.superseded);
    }
    const { time, functions } = this.#doors;
    const line = new GatewayLine(
      {
        node: this.node,
        agent: this.agent,
        clock: time,
        describe: (key) => functions.described(key),
        knowledge: { tell: () => {} },
        refused: () => {},
      },
      end,
    );
    this.#gateways.set(name, { end, life, line });
    const closed = (): void => {
      if (this.#isDead || this.#gateways.get(name)?.end !== end) return;
      this.#gateways.delete(name);
      line.left();
    };
    return {
      welcome: this.#hello(ClusterKind.welcome),
      direction: new GatewayToWorker(line),
      opened: () => {},
      closed,
    };
  }
}

/** What a worker tells its scheduler, with the cores that its operator has withdrawn. */
class WithdrawingFrames extends SchedulerFrames {
  readonly end: LinkEnd;
  readonly #out: () => number;

  constructor(end: LinkEnd, out: () => number) {
    super(end);
    this.end = end;
    this.#out = out;
  }

  /** All cores of a worker here are in its first word. */
  override announce(word: Word): void {
    const isFirst = word.firstCore === this.#firstCore(word);
    super.announce(isFirst ? { ...word, withdrawn: word.withdrawn | this.#out() } : word);
  }

  #firstWord = -1;

  #firstCore({ firstCore }: Word): number {
    if (this.#firstWord < 0 || firstCore < this.#firstWord) this.#firstWord = firstCore;
    return this.#firstWord;
  }
}
