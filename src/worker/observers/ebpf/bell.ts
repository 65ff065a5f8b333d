/**
 * Has the event loop hear that a program in the kernel has sent something through a ring buffer: the loop waits for its descriptor as it does
 * for a socket. What was sent does not matter.
 *
 *     the loop waits ──rings──▶ reads what there is to read ──▶ at the end of that turn it is heard, once ──▶ the loop waits
 */
import type { Koffi } from '../../sandbox/libc.ts';

export interface BellListener {
  /** It has rung, at least once. What could be read in this turn of the event loop has been. */
  heard(): void;
}

/** The few calls of libbpf for it. */
export interface RingCalls {
  readonly newRing: (map: number, heard: unknown, context: null, options: null) => bigint | null;
  readonly consume: (ring: bigint) => number;
  readonly freeRing: (ring: bigint) => void;
}

export class Bell {
  readonly #koffi: Koffi;
  readonly #calls: RingCalls;
  readonly #listener: BellListener;
  readonly #ring: bigint;
  readonly #record: bigint;
  readonly #poll: InstanceType<Koffi['node']['PollHandle']>;
  #turn: NodeJS.Immediate | null = null;

  /** `map`: the descriptor of the ring buffer. Or why it cannot be. */
  static open(koffi: Koffi, calls: RingCalls, map: number, listener: BellListener): Bell | string {
    // It is given the ring's context, the record, and its bytes, and says that the next one may come.
    const prototype = koffi.proto('int', ['void *', 'void *', 'size_t']);
    const record = koffi.register(() => 0, koffi.pointer(prototype));
    const ring = calls.newRing(map, record, null, null);
    if (ring !== null) return new Bell({ koffi, calls, listener, ring, record }, map);
    koffi.unregister(record);
    return `the ring buffer cannot be mapped: error ${koffi.errno()}`;
  }

  private constructor(
    parts: { koffi: Koffi; calls: RingCalls; listener: BellListener; ring: bigint; record: bigint },
    map: number,
  ) {
    this.#koffi = parts.koffi;
    this.#calls = parts.calls;
    this.#listener = parts.listener;
    this.#ring = parts.ring;
    this.#record = parts.record;
    // The loop would call it again and again until the records are consumed, but for the end of the turn, which comes first.
    this.#poll = this.#koffi.node.poll(map, () => {
      this.#turn ??= setImmediate(() => this.#consume());
    });
    this.#poll.unref();
  }

  close(): void {
    this.#poll.close();
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#calls.freeRing(this.#ring);
    this.#koffi.unregister(this.#record);
  }

  #consume(): void {
    this.#turn = null;
    this.#calls.consume(this.#ring);
    this.#listener.heard();
  }
}
