/**
 * Changes asked of another node's store. Each is made once or not at all, and who asked is told which, where that can be known:
 *
 * - It never left this node, or the store's node is one life on: it was not made (`ServiceUnavailableException`).
 * - The connection broke: it is asked again under its id, of the same life only, which answers what it answered before.
 * - That life is gone, or silent for too long: it may have been made. The error says so; whoever reads then sees it.
 *
 * What does nothing when it is done twice (an upload, a question) is asked again of any life.
 */
import { isObject, parseJson } from '../../base/json.ts';
import { randomUUID } from 'node:crypto';
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Method } from './call-arguments.ts';
import { addressText } from '../../cluster/node/connect.ts';
import { Again, type Answer, ask, awayError, NoAnswer, refusalOf, type StoreNode } from './client.ts';
import { type CallAnswer, HEADERS, PATHS, userError } from './protocol.ts';

export interface StoreLine {
  /** The life of the store that this node hears; null while it hears none. */
  life(): string | null;
  /** Why it hears none. */
  why(): string;
}

const HARMLESS: readonly Method[] = ['putCode', 'unzippedBytes'];

export class StoreCalls {
  readonly #node: StoreNode;
  readonly #line: StoreLine;

  constructor(node: StoreNode, line: StoreLine) {
    this.#node = node;
    this.#line = line;
  }

  /** An answer that holds an error is an error of the store's own. */
  async call(method: Method, body: Buffer): Promise<CallAnswer | UserError> {
    const life = this.#line.life();
    if (life === null) return awayError(this.#node.store, this.#line.why());
    const id = randomUUID();
    const again = new Again(this.#node.clock);
    const startUs = this.#node.clock.nowUs();
    let maySent = false;
    for (;;) {
      const answer = await this.#ask(method, body, id, HARMLESS.includes(method) ? null : life);
      if (!(answer instanceof NoAnswer)) return this.#read(answer, maySent);
      maySent ||= answer.sent;
      if (!maySent) return awayError(this.#node.store, answer.why);
      const forMs = (this.#node.clock.nowUs() - startUs) / 1000;
      if (forMs > this.#repeatMs(method)) return this.#unknown(answer.why);
      await again.wait();
    }
  }

  #ask(method: Method, body: Buffer, id: string, life: string | null): Promise<Answer | NoAnswer> {
    const { agent, store, clock } = this.#node;
    return ask(agent, store, clock, {
      method: 'POST',
      path: PATHS.call + method,
      headers: { [HEADERS.call]: id, ...(life === null ? {} : { [HEADERS.life]: life }) },
      body,
      answerBytesMax: LIMITS.storeLineBytesMax,
      timeoutMs: method === 'putCode' ? LIMITS.codeTimeoutMs : LIMITS.storeCallTimeoutMs,
    });
  }

  /** A call that took its whole time is not asked again for as long. */
  #repeatMs(method: Method): number {
    return method === 'putCode' ? LIMITS.codeTimeoutMs : LIMITS.storeRepeatMs;
  }

  #read(answer: Answer, maySent: boolean): CallAnswer | UserError {
    if (answer.status === 409) {
      const why = 'it has just been started anew';
      return maySent ? this.#unknown(why) : awayError(this.#node.store, why);
    }
    if (answer.status !== 200) return refusalOf(answer);
    const value = parseJson(answer.body.toString('utf8'));
    if (!isObject(value) || typeof value['life'] !== 'string' || typeof value['at'] !== 'number') {
      return this.#unknown('its answer is none');
    }
    const wrong = value['error'] !== undefined && userError(value['error']) === null;
    return wrong ? this.#unknown('its error is one that this node does not know') : (value as unknown as CallAnswer);
  }

  #unknown(why: string): UserError {
    return new UserError(
      'ServiceException',
      `The node that has the store, ${addressText(this.#node.store)}, was lost while it made this change: ${why}. ` +
        'Whether it was made shows when it is read.',
    );
  }
}
