/** What the log says of a connection that is dialled again and again: that it has ended, and why it cannot be made, not at each attempt. */
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../telemetry/log.ts';
import { reasonName } from '../../wire/cluster-frame.ts';
import type { Closing } from './link.ts';

const SAID_EVERY_MS = 60_000;

export interface ClosingTexts {
  readonly ended: string;
  readonly unreached: string;
}

export class ClosingLog {
  readonly #doors: { readonly clock: Clock; readonly log: Log };
  readonly #texts: ClosingTexts;
  readonly #who: Readonly<Record<string, string>>;
  /** Why it could not be made when that was last said, and when. */
  #why = '';
  #saidUs = 0;

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
    if (had) log.warn(fields, this.#texts.ended);
    const nowUs = clock.nowUs();
    if (why === this.#why && nowUs < this.#saidUs + SAID_EVERY_MS * 1000) return;
    this.#why = why;
    this.#saidUs = nowUs;
    if (!had) log.warn(fields, this.#texts.unreached);
  }
}
