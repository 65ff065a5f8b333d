/** A real process that sleeps and burns by a known script, in a cgroup of its own where one can be made. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Clock, realClock } from '../../../src/base/clock.ts';
import type { ObserverEvents, Watched } from '../../../src/worker/observers/contract.ts';
import { descendantProcesses } from '../../../src/worker/sandbox/affinity.ts';
import { readHierarchies } from '../../../src/worker/sandbox/cgroup/mounts.ts';
import { makeFolder, removeFolder, tryWrite } from '../../../src/worker/sandbox/cgroup/folder.ts';
import { until } from '../sandbox/harness.ts';

const SLEEPER = fileURLToPath(new URL('./fixtures/sleeper.cjs', import.meta.url));

/** Whatever is done seldom, in case that something was missed, is not done: nothing may be missed. */
export const hurriedClock: Clock = {
  ...realClock,
  every: (intervalMs, listener) => (intervalMs >= 100 ? () => undefined : realClock.every(intervalMs, listener)),
};

/** From CLOCK_MONOTONIC to the platform's clock: the best of some tries, since we may lose our CPU between the two looks. */
const OFFSET_US = Math.max(
  ...Array.from({ length: 20 }, () => realClock.nowUs() - Number(process.hrtime.bigint()) / 1000),
);

/** Of the platform's clock. */
export function usOf(monotonicNs: string): number {
  return Number(monotonicNs) / 1000 + OFFSET_US;
}

let groupCount = 0;

/** A version 2 cgroup of its own; null where this user cannot make one. */
function makeCgroup(): string | null {
  const own = readHierarchies().v2?.own;
  const folder = `${own}/perch-test-${process.pid}-${groupCount++}`;
  return own !== undefined && makeFolder(folder) ? folder : null;
}

export class Sleeper implements Watched {
  readonly cgroup: string | null;
  readonly lines: string[] = [];
  readonly ended: Promise<void>;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #folder: string;

  /** `isGrouped`: whether it shall have a cgroup. */
  static async start(isGrouped: boolean, args: readonly string[] = []): Promise<Sleeper> {
    const sleeper = new Sleeper(isGrouped, args);
    await until(() => sleeper.lines.includes('ready'));
    if (sleeper.cgroup !== null) {
      tryWrite(sleeper.cgroup, 'cgroup.procs', String(sleeper.#child.pid));
    }
    return sleeper;
  }

  private constructor(isGrouped: boolean, args: readonly string[]) {
    this.cgroup = isGrouped ? makeCgroup() : null;
    this.#folder = mkdtempSync(path.join(os.tmpdir(), 'perch-sleeper-'));
    writeFileSync(this.#orders, '');
    const mode = args.length > 0 ? args : ['obey', this.#orders];
    this.#child = spawn(process.execPath, [SLEEPER, ...mode]);
    this.#child.stderr.pipe(process.stderr);
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.lines.push(line));
    this.ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
  }

  get #orders(): string {
    return path.join(this.#folder, 'orders');
  }

  processIds(): readonly number[] {
    return descendantProcesses(this.#child.pid!);
  }

  /** It burns from then on, or begins its script. */
  wake(): void {
    this.#child.stdin.write('x');
  }

  /** It sleeps from then on. */
  lull(): void {
    appendFileSync(this.#orders, 'x');
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
    if (this.cgroup !== null) while (!removeFolder(this.cgroup)) await new Promise((resolve) => setTimeout(resolve, 5));
    rmSync(this.#folder, { recursive: true });
  }
}

export interface Told {
  readonly isAsleep: boolean;
  readonly isPoll?: true;
  readonly atUs: number;
}

export interface Traffic {
  readonly isSend: boolean;
  readonly atUs: number;
}

/** Hears what an observer says, and that it keeps to its contract. */
export class Hearer implements ObserverEvents {
  readonly told = new Map<number, Told[]>();
  readonly traffic = new Map<number, Traffic[]>();
  /** Moments of all that was told, in the order in which it was. */
  readonly moments: number[] = [];

  slept(slot: number, atUs: number): void {
    this.#hear(slot, { isAsleep: true, atUs });
  }

  polls(slot: number, atUs: number): void {
    this.#hear(slot, { isAsleep: true, isPoll: true, atUs });
  }

  woke(slot: number, atUs: number): void {
    this.#hear(slot, { isAsleep: false, atUs });
  }

  sent(slot: number, atUs: number): void {
    this.#hearTraffic(slot, { isSend: true, atUs });
  }

  received(slot: number, atUs: number): void {
    this.#hearTraffic(slot, { isSend: false, atUs });
  }

  of(slot: number): readonly Told[] {
    return this.told.get(slot) ?? [];
  }

  /** It is watched anew, and so taken for awake. */
  forget(slot: number): void {
    this.told.delete(slot);
    this.traffic.delete(slot);
  }

  isAsleep(slot: number): boolean {
    return this.of(slot).at(-1)?.isAsleep ?? false;
  }

  trafficOf(slot: number): readonly Traffic[] {
    return this.traffic.get(slot) ?? [];
  }

  #hearTraffic(slot: number, event: Traffic): void {
    const traffic = this.traffic.get(slot) ?? [];
    this.traffic.set(slot, traffic);
    const last = traffic.at(-1);
    if (last !== undefined && event.atUs <= last.atUs)
      throw new Error(`slot ${slot}: ${JSON.stringify([last, event])} go back, or are told twice`);
    traffic.push(event);
    this.moments.push(event.atUs);
  }

  #hear(slot: number, event: Told): void {
    const told = this.told.get(slot) ?? [];
    this.told.set(slot, told);
    const last = told.at(-1) ?? { isAsleep: false, atUs: -Infinity };
    if (last.isAsleep === event.isAsleep)
      throw new Error(`slot ${slot}: ${JSON.stringify([last, event])} do not alternate`);
    if (event.atUs < last.atUs) throw new Error(`slot ${slot}: ${JSON.stringify([last, event])} go back`);
    told.push(event);
    this.moments.push(event.atUs);
  }
}
