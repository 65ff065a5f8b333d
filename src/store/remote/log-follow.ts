/**
 * One log that is followed on another node. When the connection ends it is made again, and goes on after what was heard last: the last
 * characters that were heard are looked for in the last lines of the log. Where they are not found any more, a line says that some may be
 * missing. (Of lines that repeat each other to the letter for longer than what is remembered, some may be passed over.)
 */
import type { Log } from '../../telemetry/log.ts';
import { Again, openLines, type StoreNode } from './client.ts';
import { type FollowLine, PATHS } from './protocol.ts';

const REMEMBERED_LENGTH = 4096;
const TAIL_LINES = 1000;
const GAP = '... some of the log may be missing here\n';
/** The other side says that it will not: asking again changes nothing. */
const FINAL_STATUSES: readonly number[] = [400, 403, 404];

export class LogFollow {
  readonly #node: StoreNode & { readonly log: Log };
  readonly #path: string;
  readonly #again: Again;
  readonly listeners = new Set<(text: string) => void>();
  /** What came last, before and since; null: the log has not been seen yet. */
  #last: string | null = null;
  #stopStream: () => void = () => {};

  constructor(node: StoreNode & { readonly log: Log }, functionName: string) {
    this.#node = node;
    this.#path = `${PATHS.logs}/${functionName}?follow=1&lines=${TAIL_LINES}`;
    this.#again = new Again(node.clock);
    this.#open();
  }

  stop(): void {
    this.#again.stop();
    this.#stopStream();
  }

  #open(): void {
    this.#stopStream = openLines(this.#node, this.#path, {
      line: (value) => {
        const { tail, text } = value as FollowLine;
        if (tail !== undefined) this.#goOn(tail);
        else if (text !== undefined) this.#hear(text);
      },
      ended: (why, status) => {
        if (FINAL_STATUSES.includes(status)) this.#node.log.warn({ path: this.#path, why }, 'a log cannot be followed');
        else this.#again.later(() => this.#open());
      },
    });
  }

  #goOn(tail: string): void {
    this.#again.succeeded();
    if (this.#last === null) {
      this.#last = tail.slice(-REMEMBERED_LENGTH);
      return;
    }
    const missed = after(this.#last, tail);
    if (missed !== '') this.#hear(missed);
  }

  #hear(text: string): void {
    this.#last = (this.#last + text).slice(-REMEMBERED_LENGTH);
    for (const listener of this.listeners) listener(text);
  }
}

/** Of the last lines of a log, those after what was heard. */
function after(last: string, tail: string): string {
  if (last === '') return tail;
  const at = tail.lastIndexOf(last);
  return at < 0 ? GAP + tail : tail.slice(at + last.length);
}
