/** The namespace of the platform's main thread, and the way into another one and back. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { errorName, type Libc } from '../sandbox/libc.ts';
import { NETLINK_ROUTE, type NetlinkSocket, openNetlink } from './netlink.ts';

const CLONE_NEWNET = 0x4000_0000;
const EMFILE = -24;

export class Home {
  readonly #libc: Libc;
  readonly #descriptor: number;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#descriptor = openSync('/proc/thread-self/ns/net', 'r');
  }

  /** Whether the descriptor is that of the server's own namespace: what belongs to instances must never be done there. */
  is(descriptor: number): boolean {
    const own = fstatSync(this.#descriptor);
    const other = fstatSync(descriptor);
    return own.ino === other.ino && own.dev === other.dev;
  }

  /**
   * A socket that speaks for the other namespace; or an error number. The thread is there for the one call that opens
   * the socket: a socket stays in the namespace it was opened in, so that the rest can be done from here.
   */
  socketIn(descriptor: number): NetlinkSocket | number {
    const entered = this.#libc.setns(descriptor, CLONE_NEWNET);
    if (entered < 0) return entered;
    const socket = openNetlink(this.#libc, NETLINK_ROUTE);
    this.#return();
    return socket;
  }

  /** A new namespace; its descriptor, or an error number. */
  make(): number {
    const made = this.#libc.unshare(CLONE_NEWNET);
    if (made < 0) return made;
    try {
      return openSync('/proc/thread-self/ns/net', 'r');
    } catch (error) {
      return (error as NodeJS.ErrnoException).errno ?? EMFILE;
    } finally {
      this.#return();
    }
  }

  /** Throws where the namespace cannot be entered. */
  within<T>(descriptor: number, act: () => T): T {
    const entered = this.#libc.setns(descriptor, CLONE_NEWNET);
    if (entered < 0) throw new Error(`the network namespace cannot be entered: ${errorName(entered)}`);
    try {
      return act();
    } finally {
      this.#return();
    }
  }

  /** A platform that went on in the network of an instance would serve it its insides. */
  #return(): void {
    if (this.#libc.setns(this.#descriptor, CLONE_NEWNET) < 0) process.abort();
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
