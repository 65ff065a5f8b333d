/**
 * The control, as a shard in a thread of its own sees it. What is told is a message; for what is asked the thread stands still until the
 * answer is there. All go through one port, so what was told before is known when a question is answered.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '../../../base/assert.ts';
import type { CloseReason } from '../../../wire/cluster-frame.ts';
import type { Announcement, Place, ProvisionedSum, WorkerSize, WorkerView } from '../ports.ts';
import type { Greeting, Joined, NameCounts, ShardReport } from '../shard-ports.ts';
import type { NamedVersion } from '../version-names.ts';
import type { Call, ListenFailure, MainPort, ThreadData, ToMain } from './messages.ts';

export class ControlClient implements MainPort {
  readonly #port: MessagePort;
  readonly #answers: MessagePort;
  readonly #answerCount: Int32Array;

  constructor({ toMain, answers, answerCount }: Pick<ThreadData, 'toMain' | 'answers' | 'answerCount'>) {
    this.#port = toMain;
    this.#answers = answers;
    this.#answerCount = answerCount;
  }

  // ---- asked

  greet(line: number, greeting: Greeting): { readonly epoch: number } | CloseReason {
    return this.#ask(['greet', [line, greeting]]) as { readonly epoch: number } | CloseReason;
  }

  place(worker: WorkerSize): Place | string {
    return this.#ask(['place', [worker]]) as Place | string;
  }

  joinWorker(line: number, announcement: Announcement): Joined | string {
    return this.#ask(['joinWorker', [line, announcement]]) as Joined | string;
  }

  joinGateway(
    line: number,
    gateway: { readonly name: string; readonly nowMs: number },
  ): { readonly asOf: number; readonly workers: readonly WorkerView[] } {
    return this.#ask(['joinGateway', [line, gateway]]) as { asOf: number; workers: WorkerView[] };
  }

  name(version: NamedVersion): number {
    return this.#ask(['name', [version]]) as number;
  }

  keep(version: NamedVersion): number {
    return this.#ask(['keep', [version]]) as number;
  }

  withdraw(line: number, firstCore: number, bits: number): void {
    this.#ask(['withdraw', [line, firstCore, bits]]);
  }

  unreachable(core: number): void {
    this.#ask(['unreachable', [core]]);
  }

  // ---- told

  unname(index: number): void {
    this.#tell(['unname', [index]]);
  }

  hold(index: number): void {
    this.#tell(['hold', [index]]);
  }

  letGo(index: number): void {
    this.#tell(['letGo', [index]]);
  }

  /** With several shards the control looks by itself. */
  ended(_index: number): void {}

  setConcurrency(functionKey: string, max: number): void {
    this.#tell(['setConcurrency', [functionKey, max]]);
  }

  provision(line: number, index: number, count: number): void {
    this.#tell(['provision', [line, index, count]]);
  }

  gatewayLeft(line: number, names: NameCounts): void {
    this.#tell(['gatewayLeft', [line, names]]);
  }

  workerLeft(line: number): void {
    this.#tell(['workerLeft', [line]]);
  }

  endEarlier(line: number, core: number, warm: boolean): void {
    this.#tell(['endEarlier', [line, core, warm]]);
  }

  reported(line: number, index: number, own: Omit<ProvisionedSum, 'wanted'>): void {
    this.#tell(['reported', [line, index, own]]);
  }

  warmed(line: number, index: number): void {
    this.#tell(['warmed', [line, index]]);
  }

  evicted(line: number, index: number): void {
    this.#tell(['evicted', [line, index]]);
  }

  probe(core: number, sequence: number): void {
    this.#tell(['probe', [core, sequence]]);
  }

  reached(line: number): void {
    this.#tell(['reached', [line]]);
  }

  closed(line: number, reason: string): void {
    this.#tell(['closed', [line, reason]]);
  }

  turned(shard: number, turn: number): void {
    this.#tell(['turned', [shard, turn]]);
  }

  // ---- told by the thread itself

  listening(port: number): void {
    this.#tell(['listening', [port]]);
  }

  notListening(error: ListenFailure): void {
    this.#tell(['notListening', [error]]);
  }

  reportIs(id: number, report: ShardReport): void {
    this.#tell(['reportIs', [id, report]]);
  }

  wanted(id: number, what: 'view' | 'metrics'): void {
    this.#tell(['wanted', [id, what]]);
  }

  stopped(): void {
    this.#tell(['stopped', []]);
  }

  #tell(call: Call<MainPort>): void {
    this.#port.postMessage({ isAsked: false, call } satisfies ToMain);
  }

  #ask(call: Call<MainPort>): unknown {
    const before = Atomics.load(this.#answerCount, 0);
    this.#port.postMessage({ isAsked: true, call } satisfies ToMain);
    while (Atomics.load(this.#answerCount, 0) === before) Atomics.wait(this.#answerCount, 0, before);
    const answer = receiveMessageOnPort(this.#answers) as { message: unknown } | undefined;
    assert(answer !== undefined, `${call[0]} was answered with nothing`);
    return answer.message;
  }
}
