/** The network of instances: see README.md beside this file and docs/NETWORK.md. */
import { closeSync } from 'node:fs';
import type { Finding } from '../sandbox/contract.ts';
import { errorName, libc } from '../sandbox/libc.ts';
import { findingsOf } from './check.ts';
import type { Connection, Network, NetworkOptions, OwnNetworkPolicy } from './contract.ts';
import { loopbackMessages } from './links.ts';
import { Home } from './namespace.ts';
import { NETLINK_ROUTE, type NetlinkSocket, openNetlink } from './netlink.ts';
import { type Link, openOutbound, type Outbound } from './outbound.ts';
import { resolvConfOf } from './resolver.ts';
import { readTraces } from './traces.ts';

export type { Connection, Network, OwnNetworkPolicy, Refusal } from './contract.ts';

/** How often routes, name servers and rules are looked at again. */
const REFRESH_MS = 10_000;

/** Never throws: what cannot be had is told by `fault`. On the main thread, before the first instance. */
export function openNetwork(options: NetworkOptions): Network {
  if (process.platform !== 'linux') return new NoNetwork('network namespaces need Linux');
  if (process.getuid?.() !== 0) return new NoNetwork('connecting namespaces needs root: run Perch as root');
  if (libc === undefined) return new NoNetwork('the koffi package does not load: npm install');
  const route = openNetlink(libc, NETLINK_ROUTE);
  if (typeof route === 'number') return new NoNetwork(`no netlink socket: ${errorName(route)}`);
  const home = new Home(libc);
  const outbound = openOutbound({ libc, home, route, options });
  return new ServerNetwork({ home, route, outbound, options });
}

interface Opened {
  readonly home: Home;
  readonly route: NetlinkSocket;
  readonly outbound: Outbound | string;
  readonly options: NetworkOptions;
}

class ServerNetwork implements Network {
  readonly #opened: Opened;
  readonly #timer: NodeJS.Timeout;
  #said = '';
  /** What every new namespace shows. */
  #untouched: string | undefined;

  constructor(opened: Opened) {
    this.#opened = opened;
    this.#timer = setInterval(() => this.refresh(), REFRESH_MS).unref();
  }

  fault(policy: OwnNetworkPolicy): string {
    const { outbound } = this.#opened;
    return policy === 'outbound' && typeof outbound === 'string' ? outbound : '';
  }

  make(): number | string {
    const made = this.#opened.home.make();
    return made < 0 ? `no network namespace: ${errorName(made)}` : made;
  }

  within<T>(namespaceDescriptor: number, act: () => T): T {
    return this.#opened.home.within(namespaceDescriptor, act);
  }

  isUntouched(namespaceDescriptor: number): boolean {
    const { home } = this.#opened;
    this.#untouched ??= tracesOfNew(home);
    return this.#untouched !== '' && home.within(namespaceDescriptor, readTraces) === this.#untouched;
  }

  connect(namespaceDescriptor: number, policy: OwnNetworkPolicy): Connection | string {
    const { home, outbound } = this.#opened;
    if (home.is(namespaceDescriptor)) return 'not connected: that is the namespace of the server itself';
    if (policy === 'none') return this.#connectLoopback(namespaceDescriptor);
    if (typeof outbound === 'string') return `not connected: ${outbound}`;
    const link = outbound.connect(namespaceDescriptor);
    return typeof link === 'string' ? `not connected: ${link}` : outboundConnection(outbound, link);
  }

  resolvConf(policy: OwnNetworkPolicy): string {
    const { outbound } = this.#opened;
    return policy === 'none' || typeof outbound === 'string' ? '' : resolvConfOf(outbound.resolver);
  }

  refresh(): string {
    const { outbound, options } = this.#opened;
    if (typeof outbound === 'string') return outbound;
    const failure = outbound.refresh();
    if (failure !== '' && failure !== this.#said) options.log.warn(`network of instances: ${failure}`);
    this.#said = failure;
    return failure;
  }

  check(): readonly Finding[] {
    return findingsOf(this.#opened.outbound);
  }

  close(): void {
    clearInterval(this.#timer);
    const { home, route, outbound } = this.#opened;
    if (typeof outbound !== 'string') outbound.close();
    route.close();
    home.close();
  }

  #connectLoopback(namespaceDescriptor: number): Connection | string {
    const socket = this.#opened.home.socketIn(namespaceDescriptor);
    if (typeof socket === 'number') return `not connected: the namespace: ${errorName(socket)}`;
    const result = socket.request(loopbackMessages());
    socket.close();
    if (result < 0) return `not connected: the loopback: ${errorName(result)}`;
    return { policy: 'none', address: '', close: () => {} };
  }
}

/** Where nothing can be connected. */
class NoNetwork implements Network {
  readonly #why: string;

  constructor(why: string) {
    this.#why = why;
  }

  fault(): string {
    return this.#why;
  }

  make(): string {
    return `no network namespace: ${this.#why}`;
  }

  within<T>(): T {
    throw new Error(this.#why);
  }

  isUntouched(): boolean {
    return false;
  }

  connect(): string {
    return `not connected: ${this.#why}`;
  }

  resolvConf(): string {
    return '';
  }

  refresh(): string {
    return this.#why;
  }

  check(): readonly Finding[] {
    return findingsOf(this.#why);
  }

  close(): void {}
}

function tracesOfNew(home: Home): string {
  const namespace = home.make();
  if (namespace < 0) return '';
  const traces = home.within(namespace, readTraces);
  closeSync(namespace);
  return traces;
}

function outboundConnection(outbound: Outbound, link: Link): Connection {
  let open = true;
  return {
    policy: 'outbound',
    address: link.address,
    close() {
      if (!open) return;
      open = false;
      outbound.disconnect(link);
    },
  };
}
