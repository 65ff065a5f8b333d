/**
 * The requests of a gateway in a cluster: what is accepted is named, asked for, granted, assigned and answered, over a line to
 * the scheduler and one to each worker, any of which may end at any moment. The states are in request-table.ts; calls come
 * in, and what is to be said goes out through ports.
 *
 * What holds:
 * - A request that is accepted has exactly one end: an answer, a refusal, the loss of its worker, or it was withdrawn.
 * - It runs twice only where it is lost first, and then it was answered so: what was sent to a worker is asked for again only
 *   if that worker said that it did not run.
 * - A number is used again once the scheduler has nothing to say of it. A lost request's number rests: the worker may have
 *   refused it for want of memory, which the scheduler hears on another line than we, and it would grant it again.
 *
 * Time comes in ticks. Budget: an invocation allocates nothing here.
 */
import { assert } from '../../../base/assert.ts';
import { seatEndOf } from '../../../base/seats.ts';
import { RefusedWhy, UnstartedWhy } from '../../../wire/cluster/small-frames.ts';
import { checkRequests } from './check-requests.ts';
import { Names, NO_NAME } from './names.ts';
import type { MachineLimits, RequestEvents, RequestRefusal, SchedulerPort, WorkerPort } from './ports.ts';
import { type Granted, NONE, RequestTable, State } from './request-table.ts';
import { knowsVersion, noteVersion, type Worker, Workers, type WorkerView } from './workers.ts';

const REFUSALS: Readonly<Partial<Record<number, RequestRefusal>>> = {
  [RefusedWhy.concurrency]: 'concurrency',
  [RefusedWhy.queueFull]: 'queue-full',
  [RefusedWhy.memory]: 'memory',
  [RefusedWhy.cores]: 'cores',
};

export interface MachinePorts {
  readonly scheduler: SchedulerPort;
  readonly workers: WorkerPort;
  readonly events: RequestEvents;
}

/** What a worker answered; `why`: an `UnstartedWhy`, or 0 where it ran. */
export interface Answer {
  readonly request: number;
  readonly epoch: number;
  readonly core: number;
  readonly sequence: number;
  readonly why: number;
}

export class GatewayMachine {
  readonly #limits: MachineLimits;
  readonly #ports: MachinePorts;
  readonly #table: RequestTable;
  readonly #names: Names;
  readonly #workers = new Workers();
  /** Instances that the scheduler is to have kept ready, by version. */
  readonly #provisions = new Map<number, number>();
  #tick = 0;
  #connected = false;
  #epoch = 0;
  /** Which of the scheduler's lines this is: what was said on an earlier one is void. */
  #line = 0;

  constructor(limits: MachineLimits, ports: MachinePorts) {
    this.#limits = limits;
    this.#ports = ports;
    this.#table = new RequestTable(limits.requestCountMax, limits.versionCountMax);
    this.#names = new Names(limits.versionCountMax, ports.scheduler);
  }

  // ---- versions

  addVersion(version: number, key: string): void {
    this.#names.add(version, key);
  }

  /** No request of it is left. */
  removeVersion(version: number): void {
    this.#provisions.delete(version);
    this.#names.remove(version);
  }

  setConcurrency(functionKey: string, max: number): void {
    if (this.#connected) this.#ports.scheduler.concurrency(functionKey, max);
  }

  provision(version: number, count: number): void {
    this.#provisions.set(version, count);
    if (count === 0) this.#provisions.delete(version);
    if (!this.#connected) return;
    const index = this.#names.index(version);
    if (index >= 0) this.#ports.scheduler.provision(index, count);
    else if (count > 0) this.#names.need(version);
  }

  /** NONE: none that is in use here. */
  versionOf(index: number): number {
    return this.#names.versionOf(index);
  }

  // ---- requests

  /** The number of the request, which may be over when this returns; or why there is no place for it. */
  accept(version: number): number | 'queue-full' {
    const name = this.#connected ? this.#names.index(version) : NO_NAME;
    if (name < 0 && this.#table.count(State.accepted) >= this.#limits.unaskedMax) return 'queue-full';
    const number = this.#table.take(version, this.#tick);
    return number === NONE ? 'queue-full' : number;
  }

  /** What `accept` gave, once its user knows it by its number. */
  begin(number: number): void {
    this.#ask(number);
  }

  /** True: it is over, and has no other end. False: it runs, or may. */
  withdraw(number: number): boolean {
    const table = this.#table;
    switch (table.state(number)) {
      case State.accepted:
        table.unwait(number);
        this.#free(number);
        return true;
      case State.asked:
        table.become(number, State.withdrawn);
        this.#ports.scheduler.cancel(number);
        return true;
      case State.granted:
        this.#detach(number);
        this.#unstarted(number, UnstartedWhy.cancelled);
        this.#free(number);
        return true;
      case State.assigned:
        table.unwanted[number] = 1;
        return false;
      default:
        return false;
    }
  }

  // ---- the scheduler; false: what it says cannot be

  schedulerOpened(epoch: number): void {
    assert(!this.#connected, 'there is a scheduler already');
    this.#connected = true;
    this.#epoch = epoch;
    this.#line++;
    for (const worker of this.#workers.all()) {
      this.#workers.untell(worker, this.#tick);
      worker.versions.fill(0);
    }
    for (const version of this.#provisions.keys()) this.#names.need(version);
    this.#table.eachOf(State.accepted, (number) => this.#names.need(this.#table.version[number]!));
  }

  schedulerClosed(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#names.clear();
    const table = this.#table;
    table.eachOf(State.asked, (number) => this.#waitAgain(number));
    table.eachOf(State.granted, (number) => {
      this.#detach(number);
      this.#waitAgain(number);
    });
    table.eachOf(State.assigned, (number) => table.dropNext(number));
    table.eachOf(State.withdrawn, (number) => this.#free(number));
    table.eachOf(State.lost, (number) => this.#free(number));
  }

  named(handle: number, index: number): boolean {
    const version = this.#names.named(handle, index);
    if (version === null) return false;
    if (version === NO_NAME) return true;
    const count = this.#provisions.get(version) ?? 0;
    if (index >= 0 && count > 0) this.#ports.scheduler.provision(index, count);
    for (let number = this.#table.first(version); number !== NONE; number = this.#table.first(version)) {
      this.#table.unwait(number);
      if (index >= 0) this.#request(number, index);
      else this.#refuse(number, 'versions');
    }
    return true;
  }

  /** `mask`: all cores of the lease, as bits of the word of its lead; 0: the lead alone. */
  granted(number: number, grant: Granted, mask: number): boolean {
    const table = this.#table;
    const state = table.state(number);
    if (state === State.free || state === State.accepted) return false;
    if (state === State.assigned) {
      // Only what its worker refused is granted once more. The worker's own word of that is awaited, so that nothing runs twice.
      if (table.line[number] !== this.#line) return false;
      table.grantNext(number, grant, mask);
      return true;
    }
    if (state === State.granted) this.#detach(number);
    table.grant(number, grant, mask);
    table.grantedIn(number, this.#epoch, this.#line);
    if (state === State.withdrawn || state === State.lost) {
      this.#unstarted(number, UnstartedWhy.cancelled);
      this.#free(number);
    } else this.#start(number);
    return true;
  }

  refused(number: number, why: number): boolean {
    const table = this.#table;
    if (table.state(number) === State.withdrawn) return this.cancelled(number);
    if (table.state(number) !== State.asked) return false;
    const refusal = REFUSALS[why];
    if (refusal !== undefined) this.#refuse(number, refusal);
    else if (why === RefusedWhy.version) {
      this.#names.forget(table.version[number]!);
      table.again[number] = 1;
      this.#ask(number);
    } else this.#waitAgain(number);
    return true;
  }

  cancelled(number: number): boolean {
    if (this.#table.state(number) !== State.withdrawn) return false;
    this.#free(number);
    return true;
  }

  // ---- workers

  /** False: there are no such cores. */
  workerTold(view: WorkerView): boolean {
    const { firstCore, coreCount, extraSeatCount = 0 } = view;
    if (firstCore + seatEndOf({ coreCount, extraSeatCount }) > this.#limits.coreEnd) return false;
    let worker = this.#workers.find(view.name);
    if (worker !== null && worker.life !== view.life) {
      this.#leave(worker);
      worker = null;
    }
    const isNew = worker === null;
    worker ??= this.#workers.add(view);
    this.#workers.tell(worker, view);
    if (isNew) this.#ports.workers.dial(worker.id);
    return true;
  }

  /** What runs there runs on, while its own connection stands. */
  workerGone(firstCore: number): void {
    const worker = this.#workers.ofCore(firstCore);
    if (worker === null) return;
    this.#workers.untell(worker, this.#tick);
    this.#giveUpUnsent(worker);
    if (worker.requestCount === 0) this.#leave(worker);
  }

  workerOpened(id: number): void {
    const worker = this.#workers.get(id);
    if (worker === null) return;
    worker.isOpen = true;
    worker.versions.fill(0);
    this.#table.eachOf(State.granted, (number) => {
      if (this.#table.worker[number] === id) this.#assign(number, worker);
    });
  }

  /** A connection has ended, or could not be made; the next one is tried without a word from here. `stopping`: it said that whatever it was sent and has not answered did not run. */
  workerClosed(id: number, stopping: boolean): void {
    const worker = this.#workers.get(id);
    if (worker === null) return;
    worker.isOpen = false;
    this.#endAssigned(worker, stopping);
    this.#giveUpUnsent(worker);
    if (!worker.told) this.#leave(worker);
  }

  /** True: it is the answer to this request, whose number is free again; else it is none, or the request is asked for again. */
  answered(id: number, answer: Answer): boolean {
    const table = this.#table;
    const { request: number } = answer;
    const isIts =
      table.state(number) === State.assigned && table.worker[number] === id && table.isLease(number, answer);
    if (!isIts) return false;
    if (answer.why !== 0) {
      this.#returned(number, answer.why as UnstartedWhy);
      return false;
    }
    this.#detach(number);
    if (table.takeNext(number)) this.#unstarted(number, UnstartedWhy.cancelled);
    this.#free(number);
    return true;
  }

  // ---- time

  tick(): void {
    this.#tick++;
    const table = this.#table;
    const { schedulerWaitTicks, connectTicks, lostTicks, untoldTicks } = this.#limits;
    const isOld = (number: number, ticks: number): boolean => this.#tick - table.tick[number]! > ticks;
    table.eachOf(State.accepted, (number) => {
      if (table.again[number] === 1 || !isOld(number, schedulerWaitTicks)) return;
      table.unwait(number);
      this.#refuse(number, 'scheduler');
    });
    table.eachOf(State.granted, (number) => {
      if (!isOld(number, connectTicks)) return;
      this.#detach(number);
      this.#askAgain(number, UnstartedWhy.unreachable);
    });
    table.eachOf(State.lost, (number) => {
      if (isOld(number, lostTicks)) this.#free(number);
    });
    for (const worker of this.#workers.all()) {
      const isForgotten = this.#connected && !worker.told && this.#tick - worker.untoldTick > untoldTicks;
      if (isForgotten && worker.requestCount === 0) this.#leave(worker);
    }
  }

  // ---- views

  count(state: State): number {
    return this.#table.count(state);
  }

  /** Nothing waits or runs. */
  get isIdle(): boolean {
    const { countMax } = this.#table;
    return this.#table.count(State.free) + this.#table.count(State.lost) === countMax;
  }

  /** The worker that has it; -1: none has been sent it. */
  assignedTo(number: number): number {
    return this.#table.state(number) === State.assigned ? this.#table.worker[number]! : NONE;
  }

  /** As the scheduler told of it. */
  nameOf(worker: number): string {
    return this.#workers.get(worker)?.name ?? '';
  }

  get isConnected(): boolean {
    return this.#connected;
  }

  workers(): Iterable<Readonly<Worker>> {
    return this.#workers.all();
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    checkRequests(this.#table, this.#workers, this.#connected);
    this.#names.checkInvariants();
  }

  // ---- on the way to the scheduler

  /** One that was asked for is asked for again, or waits until it can be. */
  #ask(number: number): void {
    const version = this.#table.version[number]!;
    const index = this.#connected ? this.#names.index(version) : NO_NAME;
    if (index >= 0) return this.#request(number, index);
    this.#table.wait(number);
    if (this.#connected) this.#names.need(version);
  }

  #request(number: number, index: number): void {
    const isAgain = this.#table.again[number] === 1;
    this.#table.again[number] = 1;
    this.#table.become(number, State.asked);
    this.#ports.scheduler.request(number, index, isAgain);
  }

  #waitAgain(number: number): void {
    this.#table.again[number] = 1;
    this.#table.wait(number);
  }

  /** A granted request did not run and will not on its lease; it is not attached to its worker any more. */
  #askAgain(number: number, why: UnstartedWhy): void {
    const table = this.#table;
    const isOfThisLine = this.#connected && table.line[number] === this.#line;
    const isUnwanted = table.unwanted[number] === 1;
    const hasName = this.#names.index(table.version[number]!) >= 0;
    if (!isOfThisLine && isUnwanted) return this.#free(number);
    if (!isOfThisLine || (!hasName && !isUnwanted)) {
      // What the scheduler has no name for now, it cannot be asked for under the old one.
      if (isOfThisLine) this.#unstarted(number, UnstartedWhy.cancelled);
      else this.#ports.events.returned(why);
      table.again[number] = 1;
      return this.#ask(number);
    }
    this.#unstarted(number, why);
    table.become(number, isUnwanted ? State.withdrawn : State.asked);
    // It may wait again already, for the worker told the scheduler; else a grant follows, or another answer.
    if (isUnwanted) this.#ports.scheduler.cancel(number);
  }

  #unstarted(number: number, why: UnstartedWhy): void {
    const index = Math.max(0, this.#names.index(this.#table.version[number]!));
    this.#ports.events.returned(why);
    this.#ports.scheduler.unstarted(number, why, index, this.#table.leaseOf(number));
  }

  // ---- on the way to a worker

  #start(number: number): void {
    const table = this.#table;
    const worker = this.#workers.ofCore(table.core[number]!);
    if (worker === null) {
      this.#unstarted(number, UnstartedWhy.unreachable);
      return table.become(number, State.asked);
    }
    table.worker[number] = worker.id;
    worker.requestCount++;
    table.tick[number] = this.#tick;
    table.become(number, State.granted);
    if (worker.isOpen) this.#assign(number, worker);
  }

  #assign(number: number, worker: Worker): void {
    const table = this.#table;
    const version = table.version[number]!;
    const index = this.#names.index(version);
    const serial = this.#names.serial(version);
    assert(index >= 0 && table.line[number] === this.#line, `request ${number} was granted under another name`);
    if (!knowsVersion(worker, index, serial)) {
      this.#ports.workers.setVersion(worker.id, version, index, this.#epoch);
      noteVersion(worker, index, serial);
    }
    table.become(number, State.assigned);
    this.#ports.workers.assign(worker.id, number, index, this.#table.leaseOf(number));
  }

  /** The worker did not take it. */
  #returned(number: number, why: UnstartedWhy): void {
    const table = this.#table;
    const worker = this.#workers.get(table.worker[number]!)!;
    const isOfThisLine = table.line[number] === this.#line;
    const index = this.#names.index(table.version[number]!);
    if (why === UnstartedWhy.staleLease && isOfThisLine && index >= 0) noteVersion(worker, index, 0);
    this.#detach(number);
    this.#goOn(number, why);
  }

  /** What was assigned did not run: it has another lease already, or is asked for again. */
  #goOn(number: number, why: UnstartedWhy): void {
    if (!this.#table.takeNext(number)) return this.#askAgain(number, why);
    this.#ports.events.returned(why);
    if (this.#table.unwanted[number] === 0) return this.#start(number);
    this.#unstarted(number, UnstartedWhy.cancelled);
    this.#free(number);
  }

  #endAssigned(worker: Worker, stopping: boolean): void {
    const table = this.#table;
    table.eachOf(State.assigned, (number) => {
      if (table.worker[number] !== worker.id) return;
      this.#detach(number);
      if (stopping) return this.#goOn(number, UnstartedWhy.stopping);
      if (table.takeNext(number)) this.#unstarted(number, UnstartedWhy.cancelled);
      const rests = this.#connected && table.line[number] === this.#line;
      table.tick[number] = this.#tick;
      if (rests) table.become(number, State.lost);
      this.#ports.events.lost(number, worker.id);
      if (!rests) this.#free(number);
    });
  }

  /** What was granted and not sent to it. */
  #giveUpUnsent(worker: Worker): void {
    this.#table.eachOf(State.granted, (number) => {
      if (this.#table.worker[number] !== worker.id) return;
      this.#detach(number);
      this.#askAgain(number, UnstartedWhy.unreachable);
    });
  }

  /** Its connection, if it has one, is of no use any more. */
  #leave(worker: Worker): void {
    worker.isOpen = false;
    this.#endAssigned(worker, false);
    this.#giveUpUnsent(worker);
    this.#workers.remove(worker);
    this.#ports.workers.hangUp(worker.id);
  }

  // ---- small parts

  #refuse(number: number, why: RequestRefusal): void {
    this.#ports.events.refused(number, why);
    this.#free(number);
  }

  #free(number: number): void {
    this.#table.free(number);
    this.#ports.events.freed(number);
  }

  /** It is not on its way to, or at, a worker any more; its next state follows. */
  #detach(number: number): void {
    const worker = this.#workers.get(this.#table.worker[number]!);
    assert(worker !== null, `request ${number} is at no worker`);
    worker.requestCount--;
    this.#table.worker[number] = NONE;
  }
}
