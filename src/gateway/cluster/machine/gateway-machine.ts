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
 * A step of a chain may begin on the lease of the one before, which its worker has kept for it (`beginOn`). The scheduler knows nothing of
 * such a request: what becomes of it there it is asked for only if the worker does not take it.
 *
 * Time comes in ticks. Budget: an invocation allocates nothing here.
 */
import { assert } from '../../../base/assert.ts';
import { seatEndOf } from '../../../base/seats.ts';
import { RefusedWhy, UnstartedWhy } from '../../../wire/cluster/small-frames.ts';
import { Asker, type LineState } from './asker.ts';
import { checkRequests } from './check-requests.ts';
import { Names, NO_NAME } from './names.ts';
import {
  type Answer,
  type KeptLease,
  type MachineLimits,
  type MachinePorts,
  REFUSALS,
  type RequestRefusal,
} from './ports.ts';
import { type Granted, NONE, RequestTable, State } from './request-table.ts';
import { knowsVersion, noteVersion, type Worker, Workers, type WorkerView } from './workers.ts';

/** Of what the scheduler was not asked for. */
const NO_LINE = 0;

export class GatewayMachine {
  readonly #limits: MachineLimits;
  readonly #ports: MachinePorts;
  readonly #table: RequestTable;
  readonly #names: Names;
  readonly #workers = new Workers();
  /** Instances that the scheduler is to have kept ready, by version. */
  readonly #provisions = new Map<number, number>();
  #tick = 0;
  readonly #scheduler: LineState = { isOpen: false, epoch: 0, line: 0 };
  readonly #asker: Asker;

  constructor(limits: MachineLimits, ports: MachinePorts) {
    this.#limits = limits;
    this.#ports = ports;
    this.#table = new RequestTable(limits.requestCountMax, limits.versionCountMax);
    this.#names = new Names(limits.versionCountMax, ports.scheduler);
    const parts = { table: this.#table, names: this.#names, scheduler: this.#scheduler, ports };
    this.#asker = new Asker(parts, (number) => this.#free(number));
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
    if (this.#scheduler.isOpen) this.#ports.scheduler.concurrency(functionKey, max);
  }

  provision(version: number, count: number): void {
    this.#provisions.set(version, count);
    if (count === 0) this.#provisions.delete(version);
    if (!this.#scheduler.isOpen) return;
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
    const name = this.#scheduler.isOpen ? this.#names.index(version) : NO_NAME;
    if (name < 0 && this.#table.count(State.accepted) >= this.#limits.unaskedMax) return 'queue-full';
    const number = this.#table.take(version, this.#tick);
    return number === NONE ? 'queue-full' : number;
  }

  /** What `accept` gave, once its user knows it by its number. */
  begin(number: number): void {
    this.#asker.ask(number);
  }

  /** Before `begin`: it counts as one that was accepted before, and so has waited. */
  comesAgain(number: number): void {
    this.#table.again[number] = 1;
  }

  /** Before `begin`: what is to be readied while it runs. */
  ready(number: number, version: number): void {
    this.#table.readied[number] = version;
    this.name(version);
  }

  /** It will be needed. */
  name(version: number): void {
    if (this.#scheduler.isOpen) this.#names.need(version);
  }

  /** What the scheduler calls that, and the worker as well that this was assigned to; below 0: that is not known. */
  readiedIndex(number: number): number {
    const version = this.#table.readied[number]!;
    return version < 0 ? NO_NAME : this.#names.index(version);
  }

  /** Instead of `begin`: on a lease that the worker has kept, of this line to the scheduler. False: it cannot be had, and nothing changed. */
  beginOn(number: number, id: number, kept: KeptLease): boolean {
    const table = this.#table;
    const worker = this.#workers.get(id);
    const hasName = this.#scheduler.isOpen && this.#names.index(table.version[number]!) >= 0;
    if (worker === null || !worker.isOpen || !hasName || kept.line !== this.#scheduler.line) return false;
    assert(kept.epoch === this.#scheduler.epoch, 'a lease of this line is of another epoch');
    table.grant(number, { ...kept, shard: NONE }, kept.mask);
    table.grantedIn(number, this.#scheduler.epoch, NO_LINE);
    table.worker[number] = id;
    worker.requestCount++;
    this.#send(number, worker);
    return true;
  }

  /** It is on a lease that was kept for it. */
  tookOver(number: number): boolean {
    return this.#table.line[number] === NO_LINE;
  }

  /** Which of the scheduler's lines this is: what was said on an earlier one is void. */
  get line(): number {
    return this.#scheduler.line;
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
        this.#asker.unstarted(number, UnstartedWhy.cancelled);
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
    assert(!this.#scheduler.isOpen, 'there is a scheduler already');
    this.#scheduler.isOpen = true;
    this.#scheduler.epoch = epoch;
    this.#scheduler.line++;
    for (const worker of this.#workers.all()) {
      this.#workers.untell(worker, this.#tick);
      worker.versions.fill(0);
    }
    for (const version of this.#provisions.keys()) this.#names.need(version);
    this.#table.eachOf(State.accepted, (number) => this.#names.need(this.#table.version[number]!));
  }

  schedulerClosed(): void {
    if (!this.#scheduler.isOpen) return;
    this.#scheduler.isOpen = false;
    this.#names.clear();
    const table = this.#table;
    table.eachOf(State.asked, (number) => this.#asker.waitAgain(number));
    table.eachOf(State.granted, (number) => {
      this.#detach(number);
      this.#asker.waitAgain(number);
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
      if (index >= 0) this.#asker.request(number, index);
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
      if (table.line[number] !== this.#scheduler.line) return false;
      table.grantNext(number, grant, mask);
      return true;
    }
    if (state === State.granted) this.#detach(number);
    table.grant(number, grant, mask);
    table.grantedIn(number, this.#scheduler.epoch, this.#scheduler.line);
    if (state === State.withdrawn || state === State.lost) {
      this.#asker.unstarted(number, UnstartedWhy.cancelled);
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
      this.#asker.ask(number);
    } else this.#asker.waitAgain(number);
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
    if (table.takeNext(number)) this.#asker.unstarted(number, UnstartedWhy.cancelled);
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
      this.#asker.askAgain(number, UnstartedWhy.unreachable);
    });
    table.eachOf(State.lost, (number) => {
      if (isOld(number, lostTicks)) this.#free(number);
    });
    for (const worker of this.#workers.all()) {
      const isForgotten = this.#scheduler.isOpen && !worker.told && this.#tick - worker.untoldTick > untoldTicks;
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

  /** Null: there is none of that number any more. */
  workerOf(id: number): Readonly<Worker> | null {
    return this.#workers.get(id);
  }

  get isConnected(): boolean {
    return this.#scheduler.isOpen;
  }

  workers(): Iterable<Readonly<Worker>> {
    return this.#workers.all();
  }

  /** For tests: everything that must hold between two events. */
  checkInvariants(): void {
    checkRequests(this.#table, this.#workers, this.#scheduler.isOpen);
    this.#names.checkInvariants();
  }

  // ---- on the way to a worker

  #start(number: number): void {
    const table = this.#table;
    const worker = this.#workers.ofCore(table.core[number]!);
    if (worker === null) {
      this.#asker.unstarted(number, UnstartedWhy.unreachable);
      return table.become(number, State.asked);
    }
    table.worker[number] = worker.id;
    worker.requestCount++;
    table.tick[number] = this.#tick;
    table.become(number, State.granted);
    if (worker.isOpen) this.#assign(number, worker);
  }

  #assign(number: number, worker: Worker): void {
    assert(this.#table.line[number] === this.#scheduler.line, `request ${number} was granted under another name`);
    this.#send(number, worker);
  }

  #send(number: number, worker: Worker): void {
    const table = this.#table;
    const index = this.#tellVersion(worker, table.version[number]!);
    assert(index >= 0, `the version of request ${number} has no name`);
    if (table.readied[number]! >= 0) this.#tellVersion(worker, table.readied[number]!);
    table.become(number, State.assigned);
    this.#ports.workers.assign(worker.id, number, index, this.#table.leaseOf(number));
  }

  /** Answers its index, which the worker knows from now on; below 0: it has none. */
  #tellVersion(worker: Worker, version: number): number {
    const index = this.#names.index(version);
    const serial = this.#names.serial(version);
    if (index < 0 || knowsVersion(worker, index, serial)) return index;
    this.#ports.workers.setVersion(worker.id, version, index, this.#scheduler.epoch);
    noteVersion(worker, index, serial);
    return index;
  }

  /** The worker did not take it. */
  #returned(number: number, why: UnstartedWhy): void {
    const table = this.#table;
    const worker = this.#workers.get(table.worker[number]!)!;
    const isOfThisLine = table.line[number] === this.#scheduler.line || table.line[number] === NO_LINE;
    const index = this.#names.index(table.version[number]!);
    if (why === UnstartedWhy.staleLease && isOfThisLine && index >= 0) noteVersion(worker, index, 0);
    this.#detach(number);
    this.#goOn(number, why);
  }

  /** What was assigned did not run: it has another lease already, or is asked for again. */
  #goOn(number: number, why: UnstartedWhy): void {
    if (!this.#table.takeNext(number)) return this.#asker.askAgain(number, why);
    this.#ports.events.returned(why);
    if (this.#table.unwanted[number] === 0) return this.#start(number);
    this.#asker.unstarted(number, UnstartedWhy.cancelled);
    this.#free(number);
  }

  #endAssigned(worker: Worker, stopping: boolean): void {
    const table = this.#table;
    table.eachOf(State.assigned, (number) => {
      if (table.worker[number] !== worker.id) return;
      this.#detach(number);
      if (stopping) return this.#goOn(number, UnstartedWhy.stopping);
      if (table.takeNext(number)) this.#asker.unstarted(number, UnstartedWhy.cancelled);
      const rests = this.#scheduler.isOpen && table.line[number] === this.#scheduler.line;
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
      this.#asker.askAgain(number, UnstartedWhy.unreachable);
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
