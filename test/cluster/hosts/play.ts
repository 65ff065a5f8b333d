/** Invocations on a whole cluster that are held until they are let go, and write down when and where they begin and end. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach } from 'node:test';
import { type ClusterOptions, type HostCluster, type Invoked, readLines, startCluster } from './cluster.ts';

export const CORE_COUNT = 4;
/** Longer than a connection may be silent. */
export const LONG_MS = 5000;
export const WAIT_MS = 30_000;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Writes "begin ID ADDRESS", waits until the file of its event is there, writes "end ID ADDRESS". */
const HOLDER = `
import { appendFileSync, existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
const addresses = Object.values(networkInterfaces()).flat().map((each) => each.address);
const address = addresses.find((each) => each.startsWith('10.87.')) ?? 'none';
export const handler = async ({ id, notes, until }) => {
  appendFileSync(notes, 'begin ' + id + ' ' + address + '\\n');
  while (until !== undefined && !existsSync(until)) await new Promise((resolve) => setTimeout(resolve, 20));
  appendFileSync(notes, 'end ' + id + ' ' + address + '\\n');
  return id;
};`;

interface Note {
  readonly what: string;
  readonly id: string;
  readonly address: string;
}

/** Two workers of two cores each, and invocations that are held until they are let go. */
export class Play {
  readonly cluster: HostCluster;
  readonly #notes: string;
  #count = 0;

  constructor(cluster: HostCluster) {
    this.cluster = cluster;
    this.#notes = path.join(cluster.folder(), 'notes');
  }

  /** `gate`: it runs until `letGo` of that name. */
  invoke(gate?: string, gateway?: string): { readonly id: string; readonly result: Promise<Invoked | Error> } {
    const { id, event } = this.#event(gate);
    const result = this.cluster.invoke('holder', event, gateway).catch((error: Error) => error);
    return { id, result };
  }

  async invokeAsynchronously(gate: string): Promise<string> {
    const { id, event } = this.#event(gate);
    await this.cluster.callAsynchronously('holder', event);
    return id;
  }

  /** So many, begun. */
  async hold(count: number, gate: string, gateway?: string): Promise<ReturnType<Play['invoke']>[]> {
    const held = Array.from({ length: count }, () => this.invoke(gate, gateway));
    await this.until(`${count} have begun`, () => held.every(({ id }) => this.begun(id).length > 0));
    return held;
  }

  letGo(gate: string): void {
    writeFileSync(this.#gate(gate), '');
  }

  notes(): Note[] {
    return readLines(this.#notes).map((line) => {
      const [what = '', id = '', address = ''] = line.split(' ');
      return { what, id, address };
    });
  }

  /** Where it began, each time. */
  begun(id: string): string[] {
    return this.notes().flatMap((note) => (note.what === 'begin' && note.id === id ? [note.address] : []));
  }

  isOn(worker: string, id: string): boolean {
    return this.begun(id).at(-1) === this.cluster.hosts.address(worker);
  }

  async until(what: string, condition: () => boolean, limitMs = WAIT_MS): Promise<void> {
    for (let waitedMs = 0; !condition(); waitedMs += 20) {
      if (waitedMs > limitMs)
        assert.fail(`it never came that ${what}\n${JSON.stringify(this.notes())}\n${this.cluster.logs()}`);
      await sleep(20);
    }
  }

  /** Every core serves: as many as there are at once, and each has its answer. */
  async whole(gate: string, gateway?: string): Promise<void> {
    const held = await this.hold(CORE_COUNT, gate, gateway);
    this.letGo(gate);
    for (const { id, result } of held) await this.succeeds(id, result);
  }

  async succeeds(id: string, result: Promise<Invoked | Error>): Promise<void> {
    const answer = await result;
    if (answer instanceof Error) assert.fail(`${id}: ${answer}\n${this.cluster.logs()}`);
    assert.deepEqual(answer, { status: 200, functionError: null, value: id }, this.cluster.logs());
  }

  async isLost(id: string, result: Promise<Invoked | Error>): Promise<void> {
    const answer = await result;
    if (answer instanceof Error) assert.fail(`${id}: ${answer}\n${this.cluster.logs()}`);
    assert.equal(answer.value.errorType, 'Sandbox.WorkerLost', JSON.stringify(answer));
  }

  #event(gate: string | undefined) {
    const id = String(++this.#count);
    const until = gate === undefined ? undefined : this.#gate(gate);
    return { id, event: { id, notes: this.#notes, until } };
  }

  #gate(name: string): string {
    return path.join(this.cluster.folder(), `gate-${name}`);
  }
}

/** Functions are plain processes here: they write to the disk that the hosts share. Whoever is told that it started ends it. */
export async function startPlay(options: ClusterOptions, started: (cluster: HostCluster) => void): Promise<Play> {
  const cluster = await startCluster({ sandbox: 'none', ...options });
  started(cluster);
  const made = new Play(cluster);
  await cluster.deploy('holder', HOLDER, { Timeout: 120 });
  await made.whole('warm-up');
  return made;
}

/** Of one suite: what a test has started is ended after it. */
export function playsOfSuite(): {
  play(options?: ClusterOptions): Promise<Play>;
  /** One that was started without a play. */
  keep(cluster: HostCluster): HostCluster;
} {
  let cluster: HostCluster | undefined;
  const keep = (started: HostCluster): HostCluster => (cluster = started);
  afterEach(async () => {
    const ended = cluster;
    cluster = undefined;
    await ended?.end();
  });
  return { keep, play: (options = {}) => startPlay(options, keep) };
}
