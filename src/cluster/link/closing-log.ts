/** What the log says of a connection that is dialled again and again: that it has ended, why it cannot be made, not at each attempt, and that it is there again. */
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../telemetry/log.ts';
import { reasonName } from '../../wire/cluster-frame.ts';
import type { Closing } from './link.ts';

const SAID_EVERY_MS = 60_000;

export interface ClosingTexts {
  readonly ended: string;
  readonly unreached: string;
  readonly again: string;
}

export class ClosingLog {
  readonly #doors: { readonly clock: Clock; readonly log: Log };
  readonly #texts: ClosingTexts;
  readonly #who: Readonly<Record<string, string>>;
  /** Why it could not be made when that was last said, and when. */
  #why = '';
  #saidUs = 0;
  /** The last that was said was that something is wrong. */
  #saidWrong = false;

  /** `who`: stands in each line. */
  constructor(
    doors: { readonly clock: Clock; readonly log: Log },
    texts: ClosingTexts,
    who: Readonly<Record<string, string>> = {},
  ) {
    this.#doors = doors;
    this.#texts = texts;
    this.#who = who;
  }

  /** `had`: it was open until now. */
  add({ reason, message, byPeer }: Closing, had: boolean): void {
    const { clock, log } = this.#doors;
    const why = message === '' ? reasonName(reason) : message;
    const fields = { ...this.#who, why, byPeer };
    this.#saidWrong ||= had;
    if (had) log.warn(fields, this.#texts.ended);
    const nowUs = clock.nowUs();
    if (why === this.#why && nowUs < this.#saidUs + SAID_EVERY_MS * 1000) return;
    this.#why = why;
    this.#saidUs = nowUs;
    this.#saidWrong = true;
    if (!had) log.warn(fields, this.#texts.unreached);
  }

  /** It is there. Said as loudly as what was wrong: a log that ends with a failure is about one that lasts. */
  opened(): void {
    if (this.#saidWrong) this.#doors.log.warn(this.#who, this.#texts.again);
    this.#saidWrong = false;
  }
}
