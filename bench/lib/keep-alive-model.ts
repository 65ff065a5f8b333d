/**
 * A server that keeps idle instances under a rule, in virtual time: a pure function of workload, budget and rule. The
 * rule is the platform's own class, used as the platform uses it: a group is counted at each invocation, an item touched
 * when it falls idle, and worth what it costs to have again for each MB.
 *
 * Invocations are served in the order in which they came, each on a core of its own; the first of them waits while no
 * core is free, or no memory beside what runs. Copies are left out: an instance is one start.
 */
import { assert } from '../../src/base/assert.ts';
import type { KeepAlive } from '../../src/worker/machine/keep-alive.ts';
import type { CountsGroups } from './greedy-dual-by-group.ts';
import type { Workload } from './workload.ts';

export interface KeepAliveResult {
  readonly invocationCount: number;
  readonly coldCount: number;
  /** Added by cold starts, to each invocation. */
  readonly addedMeanMs: number;
  /** Memory of instances that wait, averaged over time. */
  readonly idleMeanMb: number;
}

/** The fewest megabytes that an instance has bounds how many there can be. */
const MEMORY_MB_MIN = 16;
/** How often it is looked who has waited too long. */
const TICK_MS = 10_000;
const NONE = -1;

export interface Machine {
  readonly coreCount: number;
  /** For instances, running and idle. No function is larger. */
  readonly memoryMb: number;
}

/** `makeRule`: for so many items and groups. */
export function runKeepAlive(
  workload: Workload,
  machine: Machine,
  makeRule: (itemCount: number, groupCount: number) => KeepAlive,
): KeepAliveResult {
  const itemCount = Math.ceil(machine.memoryMb / MEMORY_MB_MIN);
  return new Server(workload, machine, { rule: makeRule(itemCount, workload.functions.length), itemCount }).run();
}

class Server {
  readonly #workload: Workload;
  readonly #machine: Machine;
  readonly #rule: KeepAlive & Partial<CountsGroups>;
  /** For each item: its function, and when it ends; the idle ones of a function in a stack each. */
  readonly #functionOf: Int32Array;
  readonly #endMs: Float64Array;
  readonly #idleOf: number[][];
  readonly #liveOf: Int32Array;
  readonly #idle = new Set<number>();
  readonly #free: number[];
  /** Busy items, a binary heap by the time at which they end. */
  readonly #busy: number[] = [];
  #usedMb = 0;
  #idleMb = 0;
  #idleMbMs = 0;
  #nowMs = 0;
  #nextTickMs = TICK_MS;
  /** Of the arrivals, the first that has not begun. */
  #next = 0;
  #coldCount = 0;
  #addedMs = 0;

  constructor(
    workload: Workload,
    machine: Machine,
    { rule, itemCount }: { rule: KeepAlive & Partial<CountsGroups>; itemCount: number },
  ) {
    this.#workload = workload;
    this.#machine = machine;
    this.#rule = rule;
    this.#functionOf = new Int32Array(itemCount).fill(NONE);
    this.#endMs = new Float64Array(itemCount);
    this.#idleOf = workload.functions.map(() => []);
    this.#liveOf = new Int32Array(workload.functions.length);
    this.#free = Array.from({ length: itemCount }, (_, index) => itemCount - 1 - index);
  }

  run(): KeepAliveResult {
    const { arrivalMs, seconds } = this.#workload;
    for (let arrived = 0; arrived < arrivalMs.length; arrived++) {
      this.#advance(arrivalMs[arrived]!, arrived);
      this.#serve(arrived + 1);
    }
    this.#advance(seconds * 1000, arrivalMs.length);
    const overMs = this.#nowMs;
    // What still waits is served too, so that every rule is counted over the same invocations.
    while (this.#next < arrivalMs.length) this.#advance(this.#endMs[this.#busy[0]!]!, arrivalMs.length);
    return {
      invocationCount: arrivalMs.length,
      coldCount: this.#coldCount,
      addedMeanMs: this.#addedMs / Math.max(1, arrivalMs.length),
      idleMeanMb: this.#idleMbMs / Math.max(overMs, this.#nowMs),
    };
  }

  /** Everything that happens up to `untilMs`, in order; `arrived` have come. */
  #advance(untilMs: number, arrived: number): void {
    for (;;) {
      const endMs = this.#busy.length > 0 ? this.#endMs[this.#busy[0]!]! : Infinity;
      const next = Math.min(endMs, this.#nextTickMs);
      if (next > untilMs) break;
      this.#pass(next);
      if (endMs <= this.#nextTickMs) this.#fallIdle(popEarliest(this.#busy, this.#endMs));
      else this.#tick();
      this.#serve(arrived);
    }
    this.#pass(untilMs);
  }

  /** Begins what has arrived and can. */
  #serve(arrived: number): void {
    while (this.#next < arrived && this.#busy.length < this.#machine.coreCount) {
      if (!this.#invoke(this.#workload.arrivalOf[this.#next]!)) return;
      this.#next++;
    }
  }

  #pass(nowMs: number): void {
    this.#idleMbMs += this.#idleMb * (nowMs - this.#nowMs);
    this.#nowMs = nowMs;
  }

  #tick(): void {
    this.#nextTickMs += TICK_MS;
    for (const item of this.#idle) if (this.#rule.expired(item, this.#nowMs * 1000)) this.#end(item);
  }

  /** False: it has to wait for memory. */
  #invoke(fn: number): boolean {
    const { durationMs, initMs, memoryMb } = this.#workload.functions[fn]!;
    const warm = this.#idleOf[fn]!.at(-1) ?? NONE;
    if (warm === NONE && !this.#makeRoom(memoryMb)) return false;
    this.#rule.count?.(fn);
    if (warm !== NONE) {
      this.#leaveIdle(warm);
      this.#begin(warm, durationMs);
      return true;
    }
    const item = this.#free.pop()!;
    this.#rule.began(item);
    this.#functionOf[item] = fn;
    this.#liveOf[fn]! += 1;
    this.#usedMb += memoryMb;
    this.#coldCount++;
    this.#addedMs += initMs;
    this.#begin(item, initMs + durationMs);
    return true;
  }

  #begin(item: number, takesMs: number): void {
    this.#endMs[item] = this.#nowMs + takesMs;
    push(this.#busy, this.#endMs, item);
  }

  #fallIdle(item: number): void {
    const fn = this.#functionOf[item]!;
    const { memoryMb, initMs } = this.#workload.functions[fn]!;
    this.#idleOf[fn]!.push(item);
    this.#idle.add(item);
    this.#idleMb += memoryMb;
    this.#rule.touch(item, fn, (initMs * 1000) / memoryMb, this.#nowMs * 1000);
  }

  #leaveIdle(item: number): void {
    const fn = this.#functionOf[item]!;
    const idle = this.#idleOf[fn]!;
    idle.splice(idle.lastIndexOf(item), 1);
    this.#idle.delete(item);
    this.#idleMb -= this.#workload.functions[fn]!.memoryMb;
  }

  /** Nothing goes where all that is idle would not be enough. */
  #makeRoom(memoryMb: number): boolean {
    if (this.#usedMb - this.#idleMb + memoryMb > this.#machine.memoryMb) return false;
    while (this.#usedMb + memoryMb > this.#machine.memoryMb || this.#free.length === 0) {
      let lowest = NONE;
      for (const item of this.#idle) {
        if (lowest === NONE || this.#rule.priority(item) < this.#rule.priority(lowest)) lowest = item;
      }
      assert(lowest !== NONE, 'there is room once all that is idle is gone');
      this.#rule.evicted(lowest);
      this.#end(lowest);
    }
    return true;
  }

  #end(item: number): void {
    const fn = this.#functionOf[item]!;
    this.#leaveIdle(item);
    this.#usedMb -= this.#workload.functions[fn]!.memoryMb;
    this.#functionOf[item] = NONE;
    this.#free.push(item);
    this.#liveOf[fn]! -= 1;
    if (this.#liveOf[fn] === 0) this.#rule.forget?.(fn);
  }
}

function push(heap: number[], keys: Float64Array, item: number): void {
  let at = heap.length;
  heap.push(item);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (keys[heap[parent]!]! <= keys[item]!) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = item;
}

function popEarliest(heap: number[], keys: Float64Array): number {
  const earliest = heap[0]!;
  const item = heap.pop()!;
  if (heap.length === 0) return earliest;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && keys[heap[child + 1]!]! < keys[heap[child]!]!) child++;
    if (keys[heap[child]!]! >= keys[item]!) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = item;
  return earliest;
}
