/** A shard in a thread of its own, as the main thread sees it: what it is told is a message, and waits for nobody. */
import type { MessagePort } from 'node:worker_threads';
import type { CloseReason } from '../../../wire/cluster-frame.ts';
import type { ProvisionedSum, WorkerView } from '../ports.ts';
import type { NamedVersion } from '../version-names.ts';
import type { ThreadPort, ToThread } from './messages.ts';

export class ShardStub implements ThreadPort {
  /** Another one when the shard is started again. */
  port: MessagePort;

  constructor(port: MessagePort) {
    this.port = port;
  }

  workerJoined(event: number, worker: WorkerView): void {
    this.#tell(['workerJoined', [event, worker]]);
  }

  workerLeft(event: number, worker: WorkerView): void {
    this.#tell(['workerLeft', [event, worker]]);
  }

  workerPlaced(): void {
    this.#tell(['workerPlaced', []]);
  }

  dropped(index: number, key: string): void {
    this.#tell(['dropped', [index, key]]);
  }

  provision(line: number, index: number, count: number, version: NamedVersion): void {
    this.#tell(['provision', [line, index, count, version]]);
  }

  provisioned(index: number, sum: ProvisionedSum): void {
    this.#tell(['provisioned', [index, sum]]);
  }

  probe(core: number, sequence: number): void {
    this.#tell(['probe', [core, sequence]]);
  }

  endedElsewhere(requests: Int32Array): void {
    this.#tell(['endedElsewhere', [requests]]);
  }

  noMemory(core: number, sequence: number): void {
    this.#tell(['noMemory', [core, sequence]]);
  }

  memoryAvailable(worker: number): void {
    this.#tell(['memoryAvailable', [worker]]);
  }

  warmed(worker: number, version: number): void {
    this.#tell(['warmed', [worker, version]]);
  }

  evicted(worker: number, version: number): void {
    this.#tell(['evicted', [worker, version]]);
  }

  doubted(worker: number): void {
    this.#tell(['doubted', [worker]]);
  }

  close(line: number, reason: CloseReason): void {
    this.#tell(['close', [line, reason]]);
  }

  renew(epoch: number): void {
    this.#tell(['renew', [epoch]]);
  }

  answerTurn(turn: number): void {
    this.#tell(['answerTurn', [turn]]);
  }

  /** It has a machine of its own. */
  settle(): void {}

  report(id: number): void {
    this.#tell(['report', [id]]);
  }

  answered(id: number, answer: object | string): void {
    this.#tell(['answered', [id, answer]]);
  }

  revoke(fingerprints: readonly string[]): void {
    this.#tell(['revoke', [fingerprints]]);
  }

  peer(shard: number, port: MessagePort): void {
    this.port.postMessage(['peer', [shard, port]] satisfies ToThread, [port]);
  }

  stop(): void {
    this.#tell(['stop', []]);
  }

  #tell(message: ToThread): void {
    this.port.postMessage(message);
  }
}
