/**
 * Which name servers an instance can ask. One on the server's loopback is out of its reach, as is one at any other address
 * of the server; what systemd-resolved asks in its turn is written down by it.
 */
import { readFileSync } from 'node:fs';
import type { Route } from './links.ts';
import { addressText, parseRange } from './numbering.ts';

const FILE = '/etc/resolv.conf';
const UPSTREAM_FILE = '/run/systemd/resolve/resolv.conf';
/** The C library asks no more. */
const SERVER_COUNT_MAX = 3;

export interface Resolver {
  /** IPv4 addresses. */
  readonly nameservers: readonly string[];
  /** Lines of search domains and options. */
  readonly settings: readonly string[];
}

/** `own`: the addresses of the server. */
export function readResolver(own: ReadonlySet<string>, files: readonly string[] = [FILE, UPSTREAM_FILE]): Resolver {
  const resolvers = files.map((file) => parse(readText(file), own));
  return resolvers.find(({ nameservers }) => nameservers.length > 0) ?? { nameservers: [], settings: [] };
}

export function resolvConfOf({ nameservers, settings }: Resolver): string {
  return [...nameservers.map((address) => `nameserver ${address}`), ...settings, ''].join('\n');
}

function parse(text: string, own: ReadonlySet<string>): Resolver {
  const lines = text.split('\n').map((line) => line.trim());
  const servers = lines.flatMap((line) => /^nameserver\s+(\S+)/.exec(line)?.[1] ?? []);
  const reachable = servers.filter((address) => isReachable(address, own));
  const settings = lines.filter((line) => /^(search|domain|options)\s/.test(line));
  return { nameservers: reachable.slice(0, SERVER_COUNT_MAX), settings };
}

function isReachable(address: string, own: ReadonlySet<string>): boolean {
  const parsed = parseRange(address);
  if (parsed === undefined || parsed.length !== 32) return false;
  const isLoopback = parsed.address >>> 24 === 127 || parsed.address === 0;
  return !isLoopback && !own.has(address);
}

/** Taken from its routes: asking for its interfaces takes 24 ms where a thousand instances have one each. */
export function ownAddresses(routes: readonly Route[]): ReadonlySet<string> {
  return new Set(
    routes.filter(({ local, length }) => local && length === 32).map(({ address }) => addressText(address)),
  );
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
