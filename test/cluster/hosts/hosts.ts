/**
 * Several hosts on one machine, for tests of what goes wrong between them: each a network namespace, all at one switch,
 * which is a namespace too, so that nothing of the machine's own network is touched and the addresses may be the same in
 * tests that run side by side.
 *
 *   host a 10.87.0.1 ═ veth ═╗
 *   host b 10.87.0.2 ═ veth ═╬═ switch: bridge; what is cut is dropped here (nft), what is slow waits here (tc)
 *   host c 10.87.0.3 ═ veth ═╝
 *
 * A cut drops packets without a word, as a broken cable does: connections hang half open, nobody hears a reset. Hosts
 * share the machine's clock, disk and process ids; a process may be given another time of day. Packets can be slowed to a
 * rate everywhere, and delayed where the kernel has netem.
 */
import assert from 'node:assert/strict';
import { startTime, ownName } from '../../../src/worker/sandbox/identity.ts';
import {
  currentNamespace,
  type Namespace,
  namespaceFile,
  openNamespace,
  ownNamespaces,
  processesIn,
  removeLeftovers,
  removeNamespace,
  run,
  runIn,
} from './namespaces.ts';
import { HostProcess, type ProcessOptions } from './process.ts';

const HOST_COUNT_MAX = 250;
/** A link's name has 15 characters at most, and the switch names links after hosts. */
const NAME_LENGTH_MAX = 11;
const LINK = 'net0';
const GONE_MS = 10_000;

interface Host {
  readonly address: string;
  readonly namespace: string;
  readonly entry: Namespace;
}

let count = 0;

export class Hosts {
  readonly #hosts = new Map<string, Host>();
  readonly #prefix: string;
  readonly #switch: string;
  readonly #processes: HostProcess[] = [];
  /** Directions: 'from to'. */
  readonly #cuts = new Set<string>();
  readonly #home: Namespace;
  readonly #onExit = (): void => this.#remove();
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#remove();
    process.kill(process.pid, signal);
  };

  constructor(...names: string[]) {
    removeLeftovers();
    assert.ok(names.length <= HOST_COUNT_MAX);
    this.#prefix = `${ownName()}-${count++}`;
    this.#switch = `${this.#prefix}-switch`;
    this.#home = currentNamespace();
    process.once('exit', this.#onExit);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, this.#onSignal);
    try {
      this.#plugSwitch();
      for (const name of names) this.#plug(name);
    } catch (error) {
      this.#remove();
      throw error;
    }
  }

  address(name: string): string {
    return this.#host(name).address;
  }

  /** A process of perch on a host, with its ready line read. */
  async start(name: string, args: readonly string[], options: ProcessOptions = {}): Promise<HostProcess> {
    const started = new HostProcess(this.#host(name).namespace, args, options);
    this.#processes.push(started);
    return started.untilReady();
  }

  /** Runs a program to its end on a host; what it wrote. */
  run(name: string, command: string, ...args: string[]): string {
    return runIn(this.#host(name).namespace, command, ...args);
  }

  /** The sockets that are made while this runs belong to the host. They are made a turn after they are asked for. */
  async within<T>(name: string, make: () => T): Promise<T> {
    const before = currentNamespace();
    this.#host(name).entry.enter();
    try {
      const made = make();
      await new Promise((resolve) => setImmediate(resolve));
      return made;
    } finally {
      before.enter();
      before.close();
    }
  }

  /** The test is on this host from now on, until the end. */
  enter(name: string): void {
    this.#host(name).entry.enter();
  }

  /** Nothing passes between the two any more; without the second: between the host and all others. */
  cut(a: string, b?: string): void {
    for (const other of this.#others(a, b)) this.#cuts.add(`${a} ${other}`).add(`${other} ${a}`);
    this.#applyCuts();
  }

  /** What `from` sends does not reach `to`; the other direction works. */
  cutOneWay(from: string, to: string): void {
    this.#cuts.add(`${from} ${to}`);
    this.#applyCuts();
  }

  /** The same two again, or all of the host. */
  heal(a: string, b?: string): void {
    for (const other of this.#others(a, b)) {
      this.#cuts.delete(`${a} ${other}`);
      this.#cuts.delete(`${other} ${a}`);
    }
    this.#applyCuts();
  }

  /**
   * `twin` answers at the address of `original` too, as a successor does that takes its address. All others still find the
   * original there, until they are redirected: so two can lead at one address, each for some.
   */
  shareAddress(original: string, twin: string): void {
    const { address } = this.#host(original);
    for (const name of this.#hosts.keys())
      if (name !== original && name !== twin) this.redirect(name, original, original);
    runIn(this.#host(twin).namespace, 'ip', 'addr', 'add', `${address}/24`, 'dev', LINK);
  }

  /** From now on `name` finds `twin` at the address of `original`. Connections to the one before hear a reset when they speak. */
  redirect(name: string, original: string, twin: string): void {
    const link = this.run(twin, 'ip', '-o', 'link', 'show', LINK);
    const [, hardwareAddress] = /link\/ether (\S+)/.exec(link) ?? [];
    const words = ['lladdr', hardwareAddress!, 'dev', LINK, 'nud', 'permanent'];
    this.run(name, 'ip', 'neigh', 'replace', this.address(original), ...words);
  }

  /** To and from the host so many kilobits a second pass, and what waits is delayed by up to a second; null: as fast as it can. */
  slow(name: string, kilobitsPerSecond: number | null): void {
    const { namespace } = this.#host(name);
    for (const [where, device] of [
      [this.#switch, portOf(name)],
      [namespace, LINK],
    ] as const) {
      const root = ['dev', device, 'root'];
      if (kilobitsPerSecond === null) runIn(where, 'tc', 'qdisc', 'del', ...root);
      else {
        const rate = [`rate`, `${kilobitsPerSecond}kbit`, 'burst', '16kb', 'latency', '1s'];
        runIn(where, 'tc', 'qdisc', 'replace', ...root, 'tbf', ...rate);
      }
    }
  }

  /** Each packet to and from the host comes so much later. Only where the kernel has netem (`canDelay`). */
  delay(name: string, delayMs: number): void {
    const words = ['root', 'netem', 'delay', `${delayMs}ms`];
    runIn(this.#switch, 'tc', 'qdisc', 'replace', 'dev', portOf(name), ...words);
    runIn(this.#host(name).namespace, 'tc', 'qdisc', 'replace', 'dev', LINK, ...words);
  }

  canDelay(name: string): boolean {
    try {
      this.delay(name, 1);
    } catch {
      return false;
    }
    runIn(this.#switch, 'tc', 'qdisc', 'del', 'dev', portOf(name), 'root');
    runIn(this.#host(name).namespace, 'tc', 'qdisc', 'del', 'dev', LINK, 'root');
    return true;
  }

  /** Ends all that was started, removes all hosts, and fails if anything stays. */
  async end(): Promise<void> {
    this.#home.enter();
    const before = new Map(this.#processes.flatMap((each) => each.tree()).map((id) => [id, startTime(id)]));
    for (const each of this.#processes) await each.kill();
    const left = async (): Promise<string[]> => {
      const ids = new Set([...before].filter(([id, started]) => startTime(id) === started).map(([id]) => id));
      for (const { namespace } of this.#hosts.values()) for (const id of processesIn(namespace)) ids.add(id);
      return [...ids].filter((id) => startTime(id) !== 0).map(String);
    };
    const stayed = await emptyInTime(left);
    for (const id of stayed) process.kill(Number(id), 'SIGKILL');
    this.#remove();
    assert.deepEqual(stayed, [], `processes stayed: ${stayed.join(', ')}`);
    assert.deepEqual(
      ownNamespaces().filter((name) => name.startsWith(`${this.#prefix}-`)),
      [],
    );
  }

  #plugSwitch(): void {
    run('ip', 'netns', 'add', this.#switch);
    runIn(this.#switch, 'ip', 'link', 'add', 'bridge', 'type', 'bridge');
    runIn(this.#switch, 'ip', 'link', 'set', 'bridge', 'up');
    runIn(
      this.#switch,
      'nft',
      'add table bridge hosts; add chain bridge hosts cut { type filter hook forward priority 0; }',
    );
  }

  #plug(name: string): void {
    assert.match(name, new RegExp(`^[a-z][a-z0-9]{0,${NAME_LENGTH_MAX - 1}}$`));
    const namespace = `${this.#prefix}-${name}`;
    const address = `10.87.0.${this.#hosts.size + 1}`;
    run('ip', 'netns', 'add', namespace);
    this.#hosts.set(name, { address, namespace, entry: openNamespace(namespaceFile(namespace)) });
    runIn(this.#switch, 'ip', 'link', 'add', portOf(name), 'type', 'veth', 'peer', 'name', LINK, 'netns', namespace);
    runIn(this.#switch, 'ip', 'link', 'set', portOf(name), 'master', 'bridge', 'up');
    for (const words of [
      ['link', 'set', 'lo', 'up'],
      ['addr', 'add', `${address}/24`, 'dev', LINK],
      ['link', 'set', LINK, 'up'],
    ]) {
      runIn(namespace, 'ip', ...words);
    }
  }

  #host(name: string): Host {
    const host = this.#hosts.get(name);
    assert.ok(host !== undefined, `there is no host ${name}`);
    return host;
  }

  #others(a: string, b: string | undefined): string[] {
    return b === undefined ? [...this.#hosts.keys()].filter((name) => name !== a) : [b];
  }

  /** All at once, so that no packet passes while the rules change. */
  #applyCuts(): void {
    const rules = [...this.#cuts].map((each) => {
      const [from, to] = each.split(' ') as [string, string];
      return `add rule bridge hosts cut iifname "${portOf(from)}" oifname "${portOf(to)}" drop`;
    });
    runIn(this.#switch, 'nft', ['flush chain bridge hosts cut', ...rules].join('; '));
  }

  #remove(): void {
    process.off('exit', this.#onExit);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, this.#onSignal);
    for (const each of this.#processes) if (each.isRunning) process.kill(each.pid, 'SIGKILL');
    for (const { namespace, entry } of this.#hosts.values()) {
      entry.close();
      removeNamespace(namespace);
    }
    if (ownNamespaces().includes(this.#switch)) removeNamespace(this.#switch);
    this.#hosts.clear();
    this.#processes.length = 0;
    this.#home.close();
  }
}

/** The switch's end of a host's cable. */
function portOf(name: string): string {
  return `to-${name}`;
}

/** What the function lists still when the time is up. */
async function emptyInTime(list: () => Promise<string[]>): Promise<string[]> {
  for (let triedMs = 0; ; triedMs += 20) {
    const found = await list();
    if (found.length === 0 || triedMs >= GONE_MS) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
