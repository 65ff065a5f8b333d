/**
 * Which network namespace a sandbox is born in. As root, this thread makes the namespace, connects it, and steps into it for
 * the one call that starts the chain of programs; whatever they start is there too, and nothing runs before its network is
 * there. The namespace belongs to the server's root, so that not even a sandbox with rights of its own has a say over it.
 *
 * Rejected: bubblewrap's --unshare-net. It brings up the loopback itself, and dies if somebody else has done so already; the
 * program would have to be held back until the namespace is connected.
 *
 * An ordinary user cannot connect anything: `none` is bubblewrap's --unshare-net, `outbound` the network of the server.
 */
import { closeSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Network, openNetwork, type OwnNetworkPolicy, type Refusal } from '../../network/index.ts';
import type { CellNetwork, Finding, NetworkPolicy, Sandbox } from '../contract.ts';
import { failedSandbox } from '../host-sandbox.ts';
import type { SandboxLog } from '../log.ts';
import { RESOLV_FILES } from './arguments.ts';
import { type FreeSeats, Seats } from './seats.ts';

/** `perch up` prints this first where an ordinary user starts it. */
export const SHARED_NETWORK_WARNING = `WARNING: not root. Functions SHARE THE NETWORK OF THIS SERVER: they reach its loopback, its other services,
this platform's own port, and everything that you reach. Only the network policy none is kept.
Run Perch as root to give every function a network of its own.`;

export interface NetworksOptions {
  readonly privileged: boolean;
  /** Where the files of sandboxes lie. */
  readonly folder: string;
  readonly slotCount: number;
  readonly refusals: readonly Refusal[];
  readonly log: SandboxLog;
}

export interface StartedCell {
  readonly sandbox: Sandbox;
  /** Null: it and its copies are in the host's network. */
  readonly seats: Seats | null;
}

export class Networks {
  /** Undefined for an ordinary user. */
  readonly #network: Network | undefined;
  readonly #folder: string;
  readonly #freeSeats: FreeSeats;
  /** What the file of `outbound` holds. */
  #resolvConf = '';

  private constructor(network: Network | undefined, folder: string, slotCount: number) {
    this.#network = network;
    this.#folder = folder;
    this.#freeSeats = { count: 0, max: slotCount };
    for (const name of Object.values(RESOLV_FILES)) writeFileSync(path.join(folder, name), '', { mode: 0o644 });
  }

  static open({ privileged, folder, slotCount, refusals, log }: NetworksOptions): Networks {
    if (!privileged) return new Networks(undefined, folder, slotCount);
    // One for each slot, and as many free seats.
    const network = openNetwork({ connectionCountMax: 2 * slotCount, refusals, log });
    const fault = network.fault('outbound');
    if (fault !== '') log.warn(`functions with the network policy outbound will not start: ${fault}`);
    return new Networks(network, folder, slotCount);
  }

  /** `spawn` starts the sandbox at once, or throws. */
  start(policy: NetworkPolicy, spawn: () => Sandbox): Sandbox {
    this.refreshResolvConf();
    const network = this.#network;
    if (network === undefined || policy === 'host') return spawn();
    const namespace = network.make();
    if (typeof namespace === 'string') return failedSandbox(namespace);
    try {
      return startConnected({ network, namespace, policy }, spawn);
    } finally {
      closeSync(namespace);
    }
  }

  /** A cell with a network of its own is born unconnected: what it may reach is not known before it has a function. */
  startCell(kind: CellNetwork, spawn: () => Sandbox): StartedCell | string {
    this.refreshResolvConf();
    if (kind === 'host') return { sandbox: spawn(), seats: null };
    const network = this.#network;
    const namespace = network?.make() ?? 'cells need root';
    if (network === undefined || typeof namespace === 'string') return String(namespace);
    try {
      const sandbox = network.within(namespace, spawn);
      const seats = new Seats(network, namespace, this.#freeSeats);
      sandbox.onExit(() => seats.close());
      return { sandbox, seats };
    } catch (error) {
      closeSync(namespace);
      throw error;
    }
  }

  /** In place, so that what runs sees it too. */
  refreshResolvConf(): void {
    const text = this.#network?.resolvConf('outbound') ?? '';
    if (text === this.#resolvConf) return;
    this.#resolvConf = text;
    writeFileSync(path.join(this.#folder, RESOLV_FILES.outbound), text);
  }

  findings(): readonly Finding[] {
    return this.#network?.check() ?? [sharedFinding()];
  }

  close(): void {
    this.#network?.close();
  }
}

/** What a platform would find here; opens the network for a moment. */
export function probeNetwork(): readonly Finding[] {
  if (process.getuid?.() !== 0) return [sharedFinding()];
  const network = openNetwork({ connectionCountMax: 1, log: { warn: () => {} } });
  const findings = network.check();
  network.close();
  return findings;
}

function sharedFinding(): Finding {
  return {
    topic: 'network',
    ok: false,
    detail: 'ordinary user: functions share the network of this server, unless their policy is none',
    fix: 'Run as root to give every function a network of its own.',
  };
}

function startConnected(
  { network, namespace, policy }: { network: Network; namespace: number; policy: OwnNetworkPolicy },
  spawn: () => Sandbox,
): Sandbox {
  const connection = network.connect(namespace, policy);
  if (typeof connection === 'string') return failedSandbox(`the network of the instance: ${connection}`);
  try {
    const sandbox = network.within(namespace, spawn);
    sandbox.onExit(() => connection.close());
    return sandbox;
  } catch (error) {
    connection.close();
    throw error;
  }
}
