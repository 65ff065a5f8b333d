/** What a child that is going to be killed says, and what must therefore be in the store afterwards. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { CodeRef, Store } from '../../src/store/store.ts';

export type KillStep =
  | {
      readonly name: 'deploy';
      readonly functionName: string;
      readonly sha256: string;
      readonly content: number;
      readonly timeoutS: number;
    }
  | { readonly name: 'delete'; readonly functionName: string }
  | { readonly name: 'enqueue'; readonly functionName: string; readonly id: string; readonly payloadBytes: number }
  | { readonly name: 'dequeue'; readonly functionName: string; readonly id: string };

type Deployed = Extract<KillStep, { name: 'deploy' }> | null;

/** What may be true of one thing: one possibility, or two while a step on it is in doubt. */
class Possible<T> {
  values: T[];

  constructor(value: T) {
    this.values = [value];
  }

  asked(value: T): void {
    this.values.push(value);
  }

  acknowledged(value: T): void {
    this.values = [value];
  }
}

export class KillModel {
  readonly #functions = new Map<string, Possible<Deployed>>();
  readonly #queued = new Map<string, { possible: Possible<boolean>; functionName: string; payloadBytes: number }>();
  acknowledgedCount = 0;

  /** A line that was cut off by the kill was not said. */
  read(output: string): void {
    for (const line of output.split('\n').slice(0, -1)) {
      const { kind, step } = JSON.parse(line) as { kind: 'asked' | 'done'; step: KillStep };
      if (kind === 'done') this.acknowledgedCount++;
      this.#apply(kind, step);
    }
  }

  /** Takes what is there as the truth for the next round, once it is one of the possibilities. */
  checkAndSettle(store: EmbeddedStore, dirOf: (code: CodeRef) => string): void {
    for (const [functionName, possible] of this.#functions) {
      const found = foundFunction(store, functionName, dirOf);
      const match = possible.values.find((value) => describe(value) === found);
      assert.notEqual(
        match,
        undefined,
        `${functionName} is ${found}; possible: ${possible.values.map(describe).join(' or ')}`,
      );
      possible.acknowledged(match!);
    }
    const names = store.listFunctions(null, 1000).items.map((record) => record.latest.functionName);
    for (const name of names) assert.ok(this.#functions.has(name), `${name} was never asked for`);
    this.#checkQueue(store);
  }

  #apply(kind: 'asked' | 'done', step: KillStep): void {
    const tell = kind === 'asked' ? 'asked' : 'acknowledged';
    if (step.name === 'deploy') return this.#function(step.functionName)[tell](step);
    if (step.name === 'delete') {
      this.#function(step.functionName)[tell](null);
      // Its queue goes with it.
      for (const queued of this.#queued.values())
        if (queued.functionName === step.functionName) queued.possible[tell](false);
      return;
    }
    if (step.name === 'enqueue') {
      const { functionName, payloadBytes } = step;
      const queued = this.#queued.get(step.id) ?? { possible: new Possible(false), functionName, payloadBytes };
      this.#queued.set(step.id, queued);
      return queued.possible[tell](true);
    }
    this.#queued.get(step.id)?.possible[tell](false);
  }

  #function(functionName: string): Possible<Deployed> {
    const possible = this.#functions.get(functionName) ?? new Possible<Deployed>(null);
    this.#functions.set(functionName, possible);
    return possible;
  }

  #checkQueue(store: EmbeddedStore): void {
    const found = new Map(store.takeDue(Number.MAX_SAFE_INTEGER, 1_000_000).map((each) => [each.id, each]));
    assert.equal(found.size, store.asyncQueueLength());
    for (const [id, queued] of this.#queued) {
      assert.ok(queued.possible.values.includes(found.has(id)), `invocation ${id}: there is ${found.has(id)}`);
      if (found.has(id)) assert.equal(found.get(id)!.payload.length, queued.payloadBytes);
      queued.possible.acknowledged(found.has(id));
    }
    for (const id of found.keys()) assert.ok(this.#queued.has(id), `invocation ${id} was never asked for`);
  }
}

function describe(value: Deployed): string {
  return value ? `${value.sha256} with ${value.content}, timeout ${value.timeoutS}` : 'absent';
}

function foundFunction(store: Store, functionName: string, dirOf: (code: CodeRef) => string): string {
  const version = store.getVersion(functionName, '$LATEST');
  if (!version) return 'absent';
  const content = readFileSync(join(dirOf(version.code), 'lib/data.txt'), 'utf8');
  assert.equal(store.codeError(version.code), null);
  return `${version.code.sha256} with ${content}, timeout ${version.config.timeoutS}`;
}
