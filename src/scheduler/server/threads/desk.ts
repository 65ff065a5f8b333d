/**
 * Where the calls of one shard's thread come in at the control, one after the other. What the shard has named is counted here, to be taken back
 * if its thread ends: nobody else knows it then.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Control } from '../control.ts';
import type { NameCounts } from '../shard-ports.ts';
import { call, type MainPort, type ToMain } from './messages.ts';

/** What is for the main thread itself. */
export type ThreadEvents = Pick<MainPort, 'listening' | 'notListening' | 'reportIs' | 'wanted' | 'stopped'>;

export class Desk {
  readonly #control: Control;
  readonly #events: ThreadEvents;
  /** By index: how often the shard's gateways have named it, and its intake holds it. */
  readonly #names = new Map<number, number>();

  constructor(control: Control, events: ThreadEvents) {
    this.#control = control;
    this.#events = events;
  }

  serve(port: MessagePort, answers: MessagePort, answerCount: Int32Array): void {
    port.on('message', ({ isAsked, call: [name, args] }: ToMain) => {
      const answer = this.#serve(name, args);
      if (!isAsked) return;
      answers.postMessage(answer);
      Atomics.add(answerCount, 0, 1);
      Atomics.notify(answerCount, 0);
    });
  }

  /** The thread has ended. */
  end(shard: number): void {
    this.#control.shardEnded(shard);
    for (const [index, count] of this.#names) for (let i = 0; i < count; i++) this.#control.names.leave(index);
    this.#names.clear();
  }

  #serve(name: keyof MainPort, args: readonly unknown[]): unknown {
    if (Object.hasOwn(this.#events, name)) return call(this.#events as MainPort, name, args);
    const answer = call(this.#control as unknown as MainPort, name, args);
    if (name === 'name' && (answer as number) >= 0) this.#count(answer as number, 1);
    else if (name === 'hold') this.#count(args[0] as number, 1);
    else if (name === 'unname' || name === 'letGo') this.#count(args[0] as number, -1);
    else if (name === 'gatewayLeft') for (const [index, count] of args[1] as NameCounts) this.#count(index, -count);
    return answer;
  }

  #count(index: number, by: number): void {
    const count = (this.#names.get(index) ?? 0) + by;
    if (count === 0) this.#names.delete(index);
    else this.#names.set(index, count);
  }
}
