/**
 * The clients of the part `overload`, in a process of their own: what is served in a closed loop, then several times as much in
 * an open one, then one client alone again. Argument: `OverloadInput` as JSON; prints `OverloadOutput`.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, quantile } from '../report.ts';
import { Line } from './line.ts';

export interface OverloadInput {
  readonly port: number;
  readonly path: string;
  readonly capacitySeconds: number;
  /** Invocations of one client with nobody else. */
  readonly aloneCount: number;
  readonly loadSeconds: number;
  /** Of the capacity. */
  readonly times: number;
  /** How long a client waits for its answer before it closes its connection; null: as long as it takes. */
  readonly patienceMs: number | null;
  /** What is due while so many clients wait is not sent, and counted. */
  readonly connectionsMax: number;
  readonly recoveryMsMax: number;
}

export interface OverloadOutput {
  /** Answers with 200 a second in the closed loop. */
  readonly capacity: number;
  /** While the load lasted. */
  readonly goodput: number;
  readonly offered: number;
  readonly notSent: number;
  /** Of all that was sent: how many ended so. 0: a function's error. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly left: number;
  /** The connection failed or was closed. */
  readonly failed: number;
  readonly servedP50Ms: number | null;
  readonly servedP99Ms: number | null;
  /** Null where there was none. */
  readonly refusedP50Ms: number | null;
  readonly refusedP99Ms: number | null;
  readonly aloneBeforeMs: number;
  /**
   * From the end of the load until the first answer of one client that took no more than twice as long as before;
   * `recoveryMsMax` where it took longer.
   */
  readonly recoveredMs: number;
  /** What that client was told until then, besides. */
  readonly refusedAfter: number;
  /** From the end of the load until no client of it waits any more; at most `recoveryMsMax`. */
  readonly drainedMs: number;
}

const CLOSED_CONNECTIONS = 4;
const BACK_WITHIN = 2;
const TURN_MS = 1;

const input = JSON.parse(process.argv[2]!) as OverloadInput;
const { port, path } = input;

function open(): Promise<Line> {
  return Line.open(connect({ host: '127.0.0.1', port }));
}

async function capacity(): Promise<number> {
  let count = 0;
  const startMs = performance.now();
  const endMs = startMs + input.capacitySeconds * 1000;
  const client = async (): Promise<void> => {
    const line = await open();
    while (performance.now() < endMs) {
      const { status, body } = await line.post(path);
      if (status !== 200) throw new Error(`${status} ${body}`);
      count++;
    }
    line.close();
  };
  await Promise.all(Array.from({ length: CLOSED_CONNECTIONS }, client));
  return (count * 1000) / (performance.now() - startMs);
}

/** Of one client that asks again and again, with nobody else. */
async function aloneMs(): Promise<number> {
  const line = await open();
  const times: number[] = [];
  for (let index = 0; index < input.aloneCount; index++) {
    const startMs = performance.now();
    const { status, body } = await line.post(path);
    if (status !== 200) throw new Error(`${status} ${body}`);
    times.push(performance.now() - startMs);
  }
  line.close();
  return median(times);
}

class Load {
  readonly statuses: Record<string, number> = {};
  readonly servedMs: number[] = [];
  readonly refusedMs: number[] = [];
  servedInTime = 0;
  left = 0;
  failed = 0;
  notSent = 0;
  sent = 0;
  waiting = 0;
  readonly #free: Line[] = [];
  #endMs = 0;

  /** Resolves at the end of the load; some may wait still. */
  async run(rate: number): Promise<void> {
    const startMs = performance.now();
    this.#endMs = startMs + input.loadSeconds * 1000;
    const count = Math.round(rate * input.loadSeconds);
    for (let index = 0; index < count;) {
      const nowMs = performance.now();
      for (; index < count && startMs + (index * 1000) / rate <= nowMs; index++) {
        if (this.waiting < input.connectionsMax) void this.#send(startMs + (index * 1000) / rate);
        else this.notSent++;
      }
      await sleep(TURN_MS);
    }
    await sleep(Math.max(0, this.#endMs - performance.now()));
  }

  async #send(dueMs: number): Promise<void> {
    this.sent++;
    this.waiting++;
    let leaves = false;
    let line: Line | undefined;
    const timer = setTimeout(
      () => {
        leaves = true;
        line?.close();
      },
      input.patienceMs ?? 2 ** 30,
    );
    try {
      line = this.#free.pop() ?? (await open());
      // Its patience may have ended while it connected.
      if (leaves) line.close();
      const { status } = await line.post(path);
      const nowMs = performance.now();
      this.statuses[status] = (this.statuses[status] ?? 0) + 1;
      if (status === 200) this.servedMs.push(nowMs - dueMs);
      if (status === 429) this.refusedMs.push(nowMs - dueMs);
      if (status === 200 && nowMs <= this.#endMs) this.servedInTime++;
      this.#free.push(line);
    } catch {
      if (leaves) this.left++;
      else this.failed++;
    } finally {
      clearTimeout(timer);
      this.waiting--;
    }
  }

  closeFree(): void {
    for (const line of this.#free) line.close();
  }
}

interface Recovery {
  readonly recoveredMs: number;
  readonly refused: number;
}

/** From now on. */
async function recovery(beforeMs: number): Promise<Recovery> {
  const fromMs = performance.now();
  const line = await open();
  let refused = 0;
  for (;;) {
    const startMs = performance.now();
    const { status } = await line.post(path);
    const nowMs = performance.now();
    const isBack = status === 200 && nowMs - startMs <= BACK_WITHIN * beforeMs;
    if (!isBack && nowMs - fromMs < input.recoveryMsMax) {
      if (status !== 200) refused++;
      continue;
    }
    line.close();
    return { recoveredMs: isBack ? nowMs - fromMs : input.recoveryMsMax, refused };
  }
}

async function run(): Promise<OverloadOutput> {
  const served = await capacity();
  const aloneBeforeMs = await aloneMs();
  const load = new Load();
  await load.run(served * input.times);
  const endMs = performance.now();
  const drained = (async (): Promise<number> => {
    while (load.waiting > 0 && performance.now() - endMs < input.recoveryMsMax) await sleep(TURN_MS);
    return performance.now() - endMs;
  })();
  const [{ recoveredMs, refused }, drainedMs] = await Promise.all([recovery(aloneBeforeMs), drained]);
  load.closeFree();
  const at = (of: readonly number[], share: number): number | null => (of.length > 0 ? quantile(of, share) : null);
  return {
    capacity: served,
    goodput: load.servedInTime / input.loadSeconds,
    offered: (load.sent + load.notSent) / input.loadSeconds,
    notSent: load.notSent,
    statuses: load.statuses,
    left: load.left,
    failed: load.failed,
    servedP50Ms: at(load.servedMs, 0.5),
    servedP99Ms: at(load.servedMs, 0.99),
    refusedP50Ms: at(load.refusedMs, 0.5),
    refusedP99Ms: at(load.refusedMs, 0.99),
    aloneBeforeMs,
    recoveredMs,
    refusedAfter: refused,
    drainedMs,
  };
}

console.log(JSON.stringify(await run()));
process.exit();
