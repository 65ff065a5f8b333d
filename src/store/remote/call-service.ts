/**
 * Carries out the calls of other nodes, each once. A call has an id; its answer is remembered for a while, so that the same id asked
 * again gets the same answer (also while the first is on its way). An id counts within this life of the process: a caller that cannot
 * know whether an earlier life did it names the life, and any other refuses.
 */
import { parseJson } from '../../base/json.ts';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../base/clock.ts';
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { AsyncInvocation, Store, Tags } from '../store.ts';
import { checkedArguments, type JsonMethod, type Method } from './call-arguments.ts';
import type { FunctionFeed } from './function-feed.ts';
import { type CallAnswer, type TagsAnswer, wireError } from './protocol.ts';

interface Kept {
  readonly answer: Promise<CallAnswer>;
  /** Infinity while it is on its way: what may come again is not forgotten. */
  answeredMs: number;
}

export interface CallServiceOptions {
  readonly store: Store;
  readonly feed: FunctionFeed;
  readonly life: string;
  readonly clock: Clock;
}

interface SentInvocation extends Omit<AsyncInvocation, 'payload' | 'acceptedMs' | 'dueMs'> {
  readonly payload: string;
  readonly sinceMs: number;
  readonly untilMs: number;
}

export class CallService {
  readonly #store: Store;
  readonly #feed: FunctionFeed;
  readonly #clock: Clock;
  readonly #life: string;
  readonly #kept = new Map<string, Kept>();

  constructor({ store, feed, life, clock }: CallServiceOptions) {
    this.#store = store;
    this.#feed = feed;
    this.#life = life;
    this.#clock = clock;
  }

  call(id: string, method: Method, body: Buffer): Promise<CallAnswer> {
    const known = this.#kept.get(id);
    if (known !== undefined) return known.answer;
    this.#forgetOld();
    const kept: Kept = { answer: this.#answer(method, body), answeredMs: Infinity };
    this.#kept.set(id, kept);
    return kept.answer.finally(() => (kept.answeredMs = this.#nowMs()));
  }

  #forgetOld(): void {
    const oldestMs = this.#nowMs() - LIMITS.storeAnswerKeptMs;
    for (const [id, { answeredMs }] of this.#kept) {
      if (answeredMs === Infinity) continue;
      if (answeredMs > oldestMs && this.#kept.size < LIMITS.storeAnswersKeptMax) return;
      this.#kept.delete(id);
    }
  }

  #nowMs(): number {
    return this.#clock.nowUs() / 1000;
  }

  async #answer(method: Method, body: Buffer): Promise<CallAnswer> {
    const result = await this.#carryOut(method, body);
    // The listeners of the store were told before its promise resolved, so the change is counted.
    const life = this.#life;
    const { at } = this.#feed;
    if (result instanceof UserError) return { life, at, error: wireError(result) };
    return { life, at, result };
  }

  #carryOut(method: Method, body: Buffer): Promise<unknown> {
    if (method === 'putCode') return this.#putCode(body);
    const value = checkedArguments(method, parseJson(body.toString('utf8')));
    if (value === null) {
      const message = `The arguments of ${method} are not those that it takes; the nodes may be of different versions.`;
      return Promise.resolve(new UserError('InvalidRequestContentException', message));
    }
    return this.#carryOutJson(method, value as never);
  }

  async #putCode(zip: Buffer): Promise<unknown> {
    const code = await this.#store.putCode(zip);
    if (!(code instanceof UserError)) this.#feed.setDamage(code.sha256, null);
    return code;
  }

  /** Their form has been checked. */
  #carryOutJson(method: JsonMethod, args: readonly never[]): Promise<unknown> {
    const [first, second, third] = args as unknown as readonly [never, never, never];
    const store = this.#store;
    switch (method) {
      case 'deleteFunction':
      case 'setReservedConcurrency':
      case 'setKnowledge':
      case 'deleteLayerVersion':
        return store[method](first, second);
      case 'setProvisioned':
        return store.setProvisioned(first, second, third);
      case 'setTags':
        return this.#setTags(first, second, third);
      case 'enqueue':
        return this.#enqueue(first);
      default:
        return store[method](first);
    }
  }

  async #setTags(functionName: string, before: Tags | null, after: Tags): Promise<TagsAnswer | UserError> {
    let conflict: Tags | null = null;
    const error = await this.#store.setTags(functionName, (current) => {
      if (isDeepStrictEqual(current, before)) return after;
      conflict = current;
      return new UserError('ResourceConflictException', 'They were changed meanwhile.');
    });
    if (conflict !== null) return { conflict };
    return error ?? {};
  }

  /**
   * In their order; one that is refused keeps back none of the others. Whoever sends them may have another clock: when each was accepted
   * and is due comes as a span, and is judged by the clock of this node.
   */
  async #enqueue(invocations: readonly SentInvocation[]): Promise<unknown> {
    const nowMs = this.#clock.wallMs();
    const results = invocations.map(({ sinceMs, untilMs, payload, ...rest }) => {
      const moments = { acceptedMs: nowMs - sinceMs, dueMs: nowMs + untilMs };
      return this.#store.enqueue({ ...rest, ...moments, payload: Buffer.from(payload, 'base64') });
    });
    return (await Promise.all(results)).map((error) => error && wireError(error));
  }
}
