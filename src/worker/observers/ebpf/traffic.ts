/**
 * What is told of one sandbox's traffic: the last moment of each kind, in their order, and so often that nobody is flooded.
 *
 *     a window      sent  received  sent  received │ sent …              what happens
 *     of 10 ms      told  told      told  told     │ left out …          what is left out is told when the window is over,
 *                                                                        if the other has not come after it
 */
import { type ObserverEvents, TRAFFIC_COUNT_MAX, TRAFFIC_WINDOW_US } from '../contract.ts';

type TrafficEvents = Pick<ObserverEvents, 'sent' | 'received'>;

export class Traffic {
  readonly #slot: number;
  readonly #events: TrafficEvents;
  #isTold = false;
  /** Nothing is told of what happened up to then. */
  #lastUs = 0;
  #windowUs = -Infinity;
  #count = 0;

  constructor(slot: number, events: TrafficEvents) {
    this.#slot = slot;
    this.#events = events;
  }

  get isTold(): boolean {
    return this.#isTold;
  }

  /** What has happened before is not told. */
  set(isTold: boolean, nowUs: number): void {
    this.#isTold = isTold;
    this.#lastUs = nowUs;
  }

  /**
   * `sentUs`, `receivedUs`: when it has done so last. What happened after `untilUs` is for a later call, and so is what would be too much now.
   * False: all of it has been told before.
   */
  tell(sentUs: number, receivedUs: number, untilUs: number, nowUs: number): boolean {
    const isSendFirst = sentUs < receivedUs;
    const firstUs = isSendFirst ? sentUs : receivedUs;
    const lastUs = isSendFirst ? receivedUs : sentUs;
    if (lastUs <= this.#lastUs) return false;
    if (nowUs >= this.#windowUs + TRAFFIC_WINDOW_US) {
      this.#windowUs = nowUs;
      this.#count = 0;
    }
    // Where one more may be told, it is how things stand now.
    if (this.#count + 2 <= TRAFFIC_COUNT_MAX) this.#tellOne(isSendFirst, firstUs, untilUs);
    if (this.#count < TRAFFIC_COUNT_MAX) this.#tellOne(!isSendFirst, lastUs, untilUs);
    return true;
  }

  /** Who hears may have said meanwhile that nothing is to be told any more. */
  #tellOne(isSend: boolean, atUs: number, untilUs: number): void {
    if (!this.#isTold || atUs <= this.#lastUs || atUs > untilUs) return;
    this.#lastUs = atUs;
    this.#count++;
    if (isSend) this.#events.sent(this.#slot, atUs);
    else this.#events.received(this.#slot, atUs);
  }
}
