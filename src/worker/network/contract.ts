/**
 * The network of instances, as the sandbox backends see it. `host` is no business of this room: such an instance stays in
 * the namespace of the server.
 */
import type { Finding } from '../sandbox/contract.ts';

/** What a namespace of an instance's own is connected to. */
export type OwnNetworkPolicy = 'none' | 'outbound';

/** One namespace, connected. */
export interface Connection {
  readonly policy: OwnNetworkPolicy;
  /** The instance's IPv4 address, as in 10.192.0.7; '' with `none`. */
  readonly address: string;
  /**
   * Gives the address back. To be called when every process in the namespace is gone and every descriptor of it closed:
   * the kernel then removes the way out with the namespace. Idempotent.
   */
  close(): void;
}

export interface Network {
  /** '' where the policy can be kept here; else why not and what to do, for the operator. */
  fault(policy: OwnNetworkPolicy): string;
  /**
   * A new namespace, not connected; its descriptor is the caller's. A text says what failed. It belongs to the server's
   * root: whoever is born in it has no rights over it, whatever it is in a user namespace of its own.
   */
  make(): number | string;
  /** What `act` starts is born in the namespace: this thread is there meanwhile. Throws where it cannot be. */
  within<T>(namespaceDescriptor: number, act: () => T): T;
  /** Whether nothing was sent in the namespace, nor arrived, nor was refused on its way, since it was made. */
  isUntouched(namespaceDescriptor: number): boolean;
  /**
   * Gives a new network namespace its loopback and, with `outbound`, its way out. The descriptor is that of the namespace
   * (an open /proc/PID/ns/net) and stays the caller's; the connection does not keep the namespace alive. To be called
   * once per namespace. Synchronous. A text says what failed; nothing is left of it then.
   */
  connect(namespaceDescriptor: number, policy: OwnNetworkPolicy): Connection | string;
  /** Of /etc/resolv.conf inside. */
  resolvConf(policy: OwnNetworkPolicy): string;
  /**
   * Looks at the routes and name servers of the server again, and puts the rules back where somebody flushed them. Done by
   * itself every few seconds. '' or what failed.
   */
  refresh(): string;
  check(): readonly Finding[];
  /** Removes what `openNetwork` made, connections included. */
  close(): void;
}

/** An IPv4 address or range that `outbound` does not reach. */
export interface Refusal {
  /** 192.0.2.7, or 192.0.2.0/24. */
  readonly range: string;
  /** Of TCP and UDP; undefined: all, and all protocols. */
  readonly port?: number;
  readonly why: string;
}

export interface NetworkOptions {
  /** How many connections may be open at once. */
  readonly connectionCountMax: number;
  /** How many addresses there are for them: fewer in tests. */
  readonly addressCount?: number;
  /** Besides the built-in ones: internal ports of the platform, peers of the cluster. */
  readonly refusals?: readonly Refusal[];
  readonly log: { warn(text: string): void };
}
