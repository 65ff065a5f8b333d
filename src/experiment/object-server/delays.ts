/**
 * A thread that says when a time has come, to some 0.1 ms: Node's own timers have milliseconds, and the latency of a local network is
 * half of one. It sleeps in a futex, so it costs next to nothing while it waits.
 *
 * In: [id, dueUs] on the clock of `process.hrtime`, over the port. Out: id. Who sends also bumps and notifies the word in `wake`.
 */
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { goBeforeFunctions } from '../../worker/sandbox/priority.ts';

export interface DelayThreadData {
  readonly port: MessagePort;
  readonly wake: Int32Array;
}

const WAIT_MS_MAX = 1000;

function nowUs(): number {
  return Number(process.hrtime.bigint()) / 1000;
}

function run({ port, wake }: DelayThreadData): never {
  const dueUsById = new Map<number, number>();
  for (;;) {
    const seen = Atomics.load(wake, 0);
    for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) {
      const [id, dueUs] = got.message as [number, number];
      dueUsById.set(id, dueUs);
    }
    const now = nowUs();
    let nextUs = now + WAIT_MS_MAX * 1000;
    for (const [id, dueUs] of dueUsById) {
      if (dueUs <= now) {
        dueUsById.delete(id);
        port.postMessage(id);
      } else nextUs = Math.min(nextUs, dueUs);
    }
    Atomics.wait(wake, 0, seen, (nextUs - nowUs()) / 1000);
  }
}

goBeforeFunctions();
run(workerData as DelayThreadData);
