/**
 * One life of a gateway: the shipped machine, and lines that carry what it says as frames. It is to it what gateway/cluster/cluster-dispatcher.ts and
 * the lines beside that are, without HTTP and a store.
 */
import { assert } from '../../base/assert.ts';
import { GatewayMachine } from '../../gateway/cluster/machine/gateway-machine.ts';
import type { Lease, MachineLimits } from '../../gateway/cluster/machine/ports.ts';
import { CloseReason, ClusterKind, Role } from '../../wire/cluster-frame.ts';
import { AssignFrame, type ResultFrame, SetVersionFrame } from '../../wire/cluster/body-frames.ts';
import { SchedulerToGateway, WorkerToGateway } from '../../wire/cluster/directions.ts';
import { HelloFrame, type WorkerFrame } from '../../wire/cluster/large-frames.ts';
import { LeaseFrame } from '../../wire/cluster/small-frames.ts';
import type { Arrival } from './case.ts';
import type { Functions } from './functions.ts';
import { GatewayFrames } from './gateway-frames.ts';
import type { History } from './history.ts';
import { Invocation } from './invocation.ts';
import type { Ended, LinkEnd, Net } from './net.ts';
import { SCHEDULER } from './scheduler-host.ts';
import type { VirtualTime } from './time.ts';

const TICK_MS = 250;
const NONE = -1;
const NEXT_STEP = { outcome: 'answers' } as const;

export interface GatewayDoors {
  readonly time: VirtualTime;
  readonly net: Net;
  readonly functions: Functions;
  readonly history: History;
  /** Until a node tries again to reach another. */
  readonly redialUs: () => number;
  /** All that were ever accepted, by id; the number of the next. */
  readonly invocations: Map<string, Invocation>;
}

export interface GatewaySetting {
  readonly name: string;
  readonly life: number;
  readonly limits: MachineLimits;
}

interface Place {
  readonly name: string;
  readonly life: number;
}

/** To a worker that the machine has dialled. */
interface WorkerLine {
  readonly place: Place;
  end: LinkEnd | null;
}

interface Pending {
  readonly invocation: Invocation;
  readonly version: number;
  /** Its steps after it. */
  readonly followers: number;
  core: number;
  line: number;
  /** Of the version for which its lease was granted. */
  grantedVersion: number;
}

/** A lease that its worker keeps, for the step that comes next. */
interface Held {
  readonly worker: number;
  readonly frame: { readonly epoch: number; readonly core: number; readonly sequence: number };
  readonly mask: number;
  readonly line: number;
  readonly grantedVersion: number;
}

export class GatewayHost {
  readonly name: string;
  readonly machine: GatewayMachine;
  /** By function: how many of it may run at once. */
  readonly limitOf = new Map<string, number>();
  readonly #life: number;
  readonly #doors: GatewayDoors;
  readonly #frames: GatewayFrames;
  readonly #pending: (Pending | null)[];
  readonly #keys: string[];
  readonly #workers: (WorkerLine | null)[] = [];
  readonly #places = new Map<string, Place>();
  readonly #masks: number[];
  /** Versions of which instances are kept ready. */
  readonly #provisioned = new Set<number>();
  readonly #assignFrame = new AssignFrame();
  readonly #setVersionFrame = new SetVersionFrame();
  readonly #letGoFrame = new LeaseFrame(ClusterKind.letGo);
  readonly #stopTicking: () => void;
  #revision = 0;
  #epoch = 0;
  #isDead = false;

  constructor({ name, life, limits }: GatewaySetting, doors: GatewayDoors) {
    const { functions, time } = doors;
    this.name = name;
    this.#life = life;
    this.#doors = doors;
    this.#pending = new Array<Pending | null>(limits.requestCountMax).fill(null);
    this.#masks = new Array<number>(limits.requestCountMax).fill(0);
    this.#keys = functions.specs.map((_, version) => functions.keyOf(version, 0));
    this.#frames = new GatewayFrames({
      time,
      functions,
      keyOf: (version) => this.#keys[version]!,
      limitOf: (functionKey) => this.limitOf.get(functionKey) ?? NONE,
      epoch: () => this.#epoch,
    });
    this.machine = this.#makeMachine(limits);
    for (const [version, key] of this.#keys.entries()) this.machine.addVersion(version, key);
    this.#stopTicking = time.every(TICK_MS, () => this.machine.tick(), name);
    this.#dialScheduler();
  }

  die(): void {
    this.#isDead = true;
    this.#stopTicking();
    for (const pending of this.#pending) {
      if (pending !== null && pending.invocation.end === null) pending.invocation.ends('gateway died');
    }
  }

  /** Null: it is refused. */
  invoke(version: number, arrival: Pick<Arrival, 'phasesUs' | 'outcome' | 'followers'>): Invocation | null {
    const number = this.#accept(version, arrival);
    if (number < 0) return null;
    const { invocation } = this.#pending[number]!;
    this.machine.begin(number);
    return invocation;
  }

  /** The client has left. */
  withdraw(invocation: Invocation): void {
    if (invocation.end !== null || this.#isDead) return;
    const number = this.#pending.findIndex((pending) => pending?.invocation === invocation);
    assert(number >= 0, `${invocation.name} has no end, and is forgotten`);
    if (this.machine.withdraw(number)) invocation.ends('withdrawn');
    else invocation.isUnwanted = true;
  }

  limit(functionKey: string, max: number): void {
    this.limitOf.set(functionKey, max);
    this.machine.setConcurrency(functionKey, max);
  }

  provision(version: number, count: number): void {
    this.#provisioned.add(version);
    this.machine.provision(version, count);
  }

  provisionNothing(): void {
    for (const version of this.#provisioned) this.machine.provision(version, 0);
    this.#provisioned.clear();
  }

  /** Another revision, where nothing of the one before is in use. */
  deploy(version: number): void {
    const isInUse = this.#pending.some((pending) => pending !== null && pending.version === version);
    if (isInUse) return;
    this.machine.removeVersion(version);
    // Other gateways may have deployed it so often as well: the same key is the same version.
    this.#keys[version] = this.#doors.functions.keyOf(version, ++this.#revision);
    this.machine.addVersion(version, this.#keys[version]);
  }

  /** What keeps it from being idle, in words. */
  pending(): string[] {
    const waiting = this.#pending.flatMap((pending, number) =>
      pending === null ? [] : [`${this.name}: ${pending.invocation.name} (request ${number}) is not over`],
    );
    return this.machine.isConnected ? waiting : [...waiting, `${this.name} has no scheduler`];
  }

  check(): void {
    this.machine.checkInvariants();
  }

  // ---- requests

  #accept(version: number, arrival: Pick<Arrival, 'phasesUs' | 'outcome' | 'followers'>): number {
    const { invocations } = this.#doors;
    const number = this.machine.accept(version);
    if (typeof number !== 'number') return NONE;
    assert(this.#pending[number] === null, `${this.name}: request ${number} is given twice`);
    const invocation = new Invocation(invocations.size, this.#keys[version]!, this.name, arrival);
    invocations.set(invocation.id, invocation);
    const { followers } = arrival;
    this.#pending[number] = { invocation, version, followers, core: NONE, line: 0, grantedVersion: version };
    if (followers > 0) this.machine.ready(number, version);
    return number;
  }

  #makeMachine(limits: MachineLimits): GatewayMachine {
    const machine: GatewayMachine = new GatewayMachine(limits, {
      scheduler: this.#frames,
      workers: {
        dial: (worker) => this.#dial(worker, this.#places.get(machine.workerOf(worker)!.name)!),
        hangUp: (worker) => this.#hangUp(worker),
        setVersion: (worker, version, index, epoch) => this.#setVersion(worker, version, { index, epoch }),
        assign: (worker, number, index, lease) => this.#assign(worker, number, index, lease),
      },
      events: {
        refused: (number, why) => this.#pending[number]!.invocation.ends(`refused: ${why}`),
        lost: (number) => this.#lost(this.#pending[number]!.invocation),
        freed: (number) => (this.#pending[number] = null),
        returned: () => {},
      },
    });
    return machine;
  }

  #lost(invocation: Invocation): void {
    if (invocation.end === null) invocation.ends('lost');
  }

  #assign(worker: number, number: number, index: number, lease: Lease): void {
    const pending = this.#pending[number]!;
    const isFollowing = this.machine.tookOver(number);
    if (!isFollowing) Object.assign(pending, { line: this.machine.line, grantedVersion: pending.version });
    pending.core = lease.core;
    this.#masks[number] = lease.mask;
    const next = this.machine.readiedIndex(number);
    const { core, mask, sequence, epoch } = lease;
    Object.assign(this.#assignFrame, { version: index, core, mask, sequence, epoch, request: number });
    Object.assign(this.#assignFrame, { follows: isFollowing, next: next >= 0 ? next : null });
    this.#assignFrame.requestId = pending.invocation.id;
    this.#workers[worker]!.end!.sendBody(this.#assignFrame);
  }

  #result(worker: number, frame: ResultFrame): void {
    const { epoch, core, sequence } = frame;
    const pending = this.#pending[frame.request] ?? null;
    const held: Held | null =
      frame.kept === 1 && pending !== null
        ? { worker, frame: { epoch, core, sequence }, mask: this.#masks[frame.request]!, ...pending }
        : null;
    const isKept = frame.kept === 1;
    const isIts = this.machine.answered(worker, frame);
    if (isIts && pending!.invocation.end === null) pending!.invocation.ends('result');
    if (isIts && this.#goOn(pending!, held)) return;
    if (isKept) this.#letGo(worker, { epoch, core, sequence });
  }

  /** The next step of its chain. True: on the lease that was kept. */
  #goOn({ followers, version, invocation }: Pending, held: Held | null): boolean {
    if (followers === 0 || invocation.isUnwanted) return false;
    const step = { ...NEXT_STEP, phasesUs: invocation.phasesUs, followers: followers - 1 };
    const number = this.#accept(version, step);
    if (number < 0) return false;
    if (held !== null && this.#mayTakeOver(version, held)) {
      const { frame, mask, line, grantedVersion } = held;
      Object.assign(this.#pending[number]!, { line, grantedVersion });
      if (this.machine.beginOn(number, held.worker, { ...frame, mask, line })) return true;
    }
    this.machine.comesAgain(number);
    this.machine.begin(number);
    return false;
  }

  /** As gateway/cluster/handing-on.ts has it; the step is of the same version. */
  #mayTakeOver(version: number, held: Held): boolean {
    const functionKey = this.#doors.functions.functionKeyOf(version);
    return held.grantedVersion === version && (this.limitOf.get(functionKey) ?? NONE) === NONE;
  }

  #letGo(worker: number, lease: Held['frame']): void {
    this.#workers[worker]?.end?.send(Object.assign(this.#letGoFrame, lease));
  }

  #setVersion(worker: number, version: number, { index, epoch }: { index: number; epoch: number }): void {
    const frame = Object.assign(this.#setVersionFrame, { version: index, epoch, key: this.#keys[version]! });
    this.#workers[worker]!.end!.sendBody(frame);
  }

  // ---- the scheduler

  #dialScheduler(): void {
    if (this.#isDead) return;
    const { net, time, redialUs } = this.#doors;
    const end: LinkEnd = net.dial(this.name, SCHEDULER, this.#hello(), {
      greeted: (welcome) => {
        if (welcome.epoch < this.#epoch) return CloseReason.staleEpoch;
        this.#epoch = welcome.epoch;
        return new SchedulerToGateway(this.#frames.heardBy(this.machine, (worker) => this.#told(worker)));
      },
      opened: () => {
        this.#frames.end = end;
        this.machine.schedulerOpened(this.#epoch);
      },
      closed: () => {
        const wasOpen = this.#frames.end === end;
        if (wasOpen) this.#frames.end = null;
        // Not within a call of the machine.
        time.later(0, () => {
          if (this.#isDead) return;
          if (wasOpen) this.machine.schedulerClosed();
          time.later(redialUs(), () => this.#dialScheduler());
        });
      },
    });
  }

  /** Before the machine is. */
  #told({ name, life }: WorkerFrame): void {
    this.#places.set(name, { name, life });
  }

  // ---- workers

  #dial(worker: number, place: Place): void {
    const line: WorkerLine = { place, end: null };
    this.#workers[worker] = line;
    this.#connect(worker, line);
  }

  #hangUp(worker: number): void {
    const line = this.#workers[worker] ?? null;
    this.#workers[worker] = null;
    if (line === null) return;
    const { name, life } = line.place;
    if (this.#places.get(name)?.life === life) this.#places.delete(name);
    line.end?.close(CloseReason.stopping);
  }

  #connect(worker: number, line: WorkerLine): void {
    const isIts = (): boolean => !this.#isDead && this.#workers[worker] === line;
    if (!isIts()) return;
    const { net, time, redialUs } = this.#doors;
    const direction = new WorkerToGateway({ result: (frame) => this.#result(worker, frame) });
    const end: LinkEnd = net.dial(this.name, line.place.name, this.#hello(), {
      greeted: ({ life }) => (life === line.place.life ? direction : CloseReason.superseded),
      opened: () => {
        if (!isIts()) return end.close(CloseReason.stopping);
        line.end = end;
        this.machine.workerOpened(worker);
      },
      closed: ({ reason, byPeer }: Ended) => {
        const wasOpen = line.end === end;
        if (wasOpen) line.end = null;
        time.later(0, () => {
          if (!isIts()) return;
          this.machine.workerClosed(worker, wasOpen && byPeer && reason === CloseReason.stopping);
          time.later(redialUs(), () => this.#connect(worker, line));
        });
      },
    });
  }

  #hello(): HelloFrame {
    const hello = new HelloFrame(ClusterKind.hello);
    return Object.assign(hello, { role: Role.gateway, name: this.name, life: this.#life, epoch: this.#epoch });
  }
}
