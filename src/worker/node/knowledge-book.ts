/**
 * What operators say of the functions that a worker may run, as gateways tell it: after each version, and when it changes. Several gateways
 * may tell of one function, some of them what is over: what the store had last is right. It is kept for as long as the worker knows a version of
 * the function, so there is no more of it than of those.
 */
import type { KnowledgeBody } from '../../cluster/knowledge-body.ts';
import type { FunctionKnowledge } from '../../store/store.ts';
import type { KnowledgeDoor } from '../agent/directed-seats.ts';

interface Entry {
  versionCount: number;
  atMs: number;
  knowledge: FunctionKnowledge | null;
}

export class KnowledgeBook implements KnowledgeDoor {
  readonly #byName = new Map<string, Entry>();
  /** By the worker's own number of a version. */
  readonly #names = new Map<number, string>();
  readonly #listeners: ((functionName: string) => void)[] = [];

  /** A version of it is there. */
  use(number: number, functionName: string): void {
    this.#names.set(number, functionName);
    const entry = this.#byName.get(functionName);
    if (entry !== undefined) entry.versionCount++;
    else this.#byName.set(functionName, { versionCount: 1, atMs: -Infinity, knowledge: null });
  }

  unuse(number: number): void {
    const functionName = this.#names.get(number)!;
    this.#names.delete(number);
    const entry = this.#byName.get(functionName)!;
    entry.versionCount--;
    if (entry.versionCount === 0) this.#byName.delete(functionName);
  }

  tell({ functionName, atMs, knowledge }: KnowledgeBody): void {
    const entry = this.#byName.get(functionName);
    // Its version was not taken, and comes again with this; or it is known.
    if (entry === undefined || atMs <= entry.atMs) return;
    const isNews = knowledge !== null || entry.knowledge !== null;
    entry.atMs = atMs;
    entry.knowledge = knowledge;
    if (isNews) for (const listener of this.#listeners) listener(functionName);
  }

  of(functionName: string): FunctionKnowledge | null {
    return this.#byName.get(functionName)?.knowledge ?? null;
  }

  onChange(listener: (functionName: string) => void): void {
    this.#listeners.push(listener);
  }
}
