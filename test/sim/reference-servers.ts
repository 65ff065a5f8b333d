/**
 * Servers by definition, to test the fast ones against: at each step all rates are worked out anew from who is there, and time goes on until the
 * first thing changes. Whatever is not said here costs nothing.
 */
export interface Task {
  readonly id: number;
  /** Run, sleep, run, …; the present one first. */
  phasesUs: number[];
  isAsleep: boolean;
  attainedUs: number;
  hasBegun: boolean;
  /** What it costs to start or move it, until it is charged: with its first moment on a core. */
  owesUs: number;
  /** Of fcfs: it has a core until it ends. Of stack: which one, and its place there. */
  core: number;
  place: number;
  server: number;
  /** Cores that it wants. */
  readonly coreCount: number;
}

export interface ReferenceCosts {
  readonly startUs: number;
  readonly migrateUs: number;
}

const NONE = -1;
const CLOSE_US = 1e-6;

export class ReferenceServers {
  readonly #discipline: string;
  readonly #coreCount: number;
  readonly #costs: ReferenceCosts;
  readonly #speeds = new Map<number, number>();
  #tasks: Task[] = [];
  #placeNext = 0;
  nowUs = 0;
  readonly ended: { id: number; atUs: number }[] = [];

  constructor(discipline: string, coreCount: number, costs: ReferenceCosts) {
    this.#discipline = discipline;
    this.#coreCount = coreCount;
    this.#costs = costs;
  }

  begin(server: number, id: number, phasesUs: readonly number[], coreCount = 1): void {
    const task: Task = {
      id,
      phasesUs: [...phasesUs],
      isAsleep: false,
      attainedUs: 0,
      hasBegun: false,
      owesUs: 0,
      core: NONE,
      place: 0,
      server,
      coreCount,
    };
    this.#enter(task, this.#costs.startUs);
  }

  resume(server: number, task: Task): void {
    this.#enter({ ...task, server, core: NONE }, task.hasBegun ? this.#costs.migrateUs : this.#costs.startUs);
  }

  take(id: number): Task {
    const task = this.#tasks.find((each) => each.id === id)!;
    this.#tasks = this.#tasks.filter((each) => each !== task);
    this.#seat();
    return task;
  }

  has(id: number): boolean {
    return this.#tasks.some((each) => each.id === id);
  }

  slow(server: number, factor: number): void {
    this.#speeds.set(server, 1 / factor);
  }

  clear(server: number): number[] {
    const gone = this.#of(server).map(({ id }) => id);
    this.#tasks = this.#tasks.filter((each) => each.server !== server);
    return gone.toSorted((a, b) => a - b);
  }

  count(server: number): number {
    return this.#of(server).length;
  }

  busy(server: number): number {
    const tasks = this.#of(server);
    if (this.#discipline === 'fcfs') return coresOf(tasks.filter(({ core }) => core !== NONE));
    if (this.#discipline === 'stack')
      return new Set(tasks.filter((each) => !each.isAsleep).map(({ core }) => core)).size;
    return Math.min(this.#coreCount, coresOf(tasks.filter((each) => !each.isAsleep)));
  }

  /** Cores that are lacking. */
  waiting(server: number): number {
    if (this.#discipline === 'fcfs') return coresOf(this.#queue(server));
    return coresOf(this.#of(server).filter((each) => !each.isAsleep)) - this.busy(server);
  }

  waitingCount(server: number): number {
    return this.#discipline === 'fcfs' ? this.#queue(server).length : this.waiting(server);
  }

  #queue(server: number): Task[] {
    return this.#of(server).filter(({ core }) => core === NONE);
  }

  run(untilUs: number): void {
    for (;;) {
      const rates = this.#rates();
      let stepUs = untilUs - this.nowUs;
      for (const [task, rate] of rates) if (rate > 0) stepUs = Math.min(stepUs, task.phasesUs[0]! / rate);
      if (this.#discipline === 'fb') stepUs = Math.min(stepUs, this.#untilMeetUs(rates));
      for (const [task, rate] of rates) {
        task.phasesUs[0]! -= rate * stepUs;
        if (!task.isAsleep) task.attainedUs += rate * stepUs;
      }
      this.nowUs += stepUs;
      if (!this.#endPhases(rates) && this.nowUs >= untilUs) return;
      if (untilUs === Infinity && this.#tasks.length === 0) return;
    }
  }

  #enter(task: Task, costUs: number): void {
    task.owesUs = costUs;
    task.place = this.#placeNext++;
    this.#tasks.push(task);
    if (this.#discipline === 'stack') task.core = this.#stackFor(task);
    if (this.#discipline === 'fcfs') this.#seat();
    else charge(task);
  }

  #stackFor(task: Task): number {
    const others = this.#of(task.server).filter((each) => each !== task);
    const cores = Array.from({ length: this.#coreCount }, (_, core) => {
      const stack = others.filter((each) => each.core === core);
      const top = stack.filter((each) => !each.isAsleep).toSorted((a, b) => b.place - a.place)[0];
      return { core, size: stack.length, attainedUs: top?.attainedUs ?? Infinity };
    });
    const empty = cores.find(({ size }) => size === 0);
    if (empty !== undefined) return empty.core;
    return cores.reduce((most, each) => (each.attainedUs > most.attainedUs ? each : most)).core;
  }

  #seat(): void {
    if (this.#discipline !== 'fcfs') return;
    for (const server of new Set(this.#tasks.map((task) => task.server))) {
      for (const task of this.#queue(server)) {
        if (this.busy(server) + task.coreCount > this.#coreCount) break;
        task.core = 0;
        charge(task);
      }
    }
  }

  #endPhases(rates: ReadonlyMap<Task, number>): boolean {
    const over = [...rates].filter(([task, rate]) => rate > 0 && task.phasesUs[0]! <= CLOSE_US).map(([task]) => task);
    for (const task of over) {
      task.phasesUs.shift();
      task.isAsleep = !task.isAsleep;
      if (task.phasesUs.length > 0) continue;
      this.#tasks = this.#tasks.filter((each) => each !== task);
      this.ended.push({ id: task.id, atUs: this.nowUs });
    }
    this.#seat();
    return over.length > 0;
  }

  #rates(): Map<Task, number> {
    const rates = new Map<Task, number>();
    for (const server of new Set(this.#tasks.map((task) => task.server))) {
      const speed = this.#speeds.get(server) ?? 1;
      const tasks = this.#of(server);
      const awake = tasks.filter((each) => !each.isAsleep);
      for (const task of tasks) {
        if (task.isAsleep) rates.set(task, this.#discipline === 'fcfs' && task.core === NONE ? 0 : 1);
      }
      for (const task of awake) rates.set(task, this.#rate(task, awake) * speed);
    }
    return rates;
  }

  #rate(task: Task, awake: readonly Task[]): number {
    if (this.#discipline === 'fcfs') return task.core === NONE ? 0 : 1;
    if (this.#discipline === 'ps') return Math.min(1, this.#coreCount / coresOf(awake));
    if (this.#discipline === 'stack') {
      return awake.some((each) => each.core === task.core && each.place > task.place) ? 0 : 1;
    }
    const less = coresOf(awake.filter((each) => each.attainedUs < task.attainedUs - CLOSE_US));
    const same = coresOf(awake.filter((each) => Math.abs(each.attainedUs - task.attainedUs) <= CLOSE_US));
    return Math.min(1, Math.max(0, this.#coreCount - less) / same);
  }

  #untilMeetUs(rates: ReadonlyMap<Task, number>): number {
    let untilUs = Infinity;
    for (const [low, lowRate] of rates) {
      for (const [high, highRate] of rates) {
        if (low.server !== high.server || low.isAsleep || high.isAsleep || lowRate <= highRate) continue;
        const gapUs = high.attainedUs - low.attainedUs;
        if (gapUs > CLOSE_US) untilUs = Math.min(untilUs, gapUs / (lowRate - highRate));
      }
    }
    return untilUs;
  }

  #of(server: number): Task[] {
    return this.#tasks.filter((each) => each.server === server);
  }
}

function coresOf(tasks: readonly Task[]): number {
  return tasks.reduce((sum, { coreCount }) => sum + coreCount, 0);
}

function charge(task: Task): void {
  task.phasesUs[0]! += task.owesUs;
  task.owesUs = 0;
  task.hasBegun = true;
}
