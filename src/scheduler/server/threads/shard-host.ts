/**
 * A shard in its thread: its connections, its event loop, and what comes from the main thread and from other shards. A turn of the loop ends
 * with all grants told, the others told of what was given, and the thread standing still if the reaper wants that.
 */
import type { MessagePort } from 'node:worker_threads';
import { receiveMessageOnPort } from 'node:worker_threads';
import { realClock } from '../../../base/clock.ts';
import { LINK_LIMITS } from '../../../cluster/link/limits.ts';
import type { Listener } from '../../../cluster/node/listener.ts';
import type { Log } from '../../../telemetry/log.ts';
import { globalWord } from '../../machine/memory.ts';
import { Scheduler } from '../../machine/scheduler.ts';
import { hearBell } from '../../shards/doorbell.ts';
import { standStill } from '../../shards/pause.ts';
import { ClusterServer } from '../cluster-server.ts';
import { SWEEP_MS } from '../collected.ts';
import type { HttpAnswers } from '../http.ts';
import type { PeerPort } from '../mail.ts';
import { Shard } from '../shard.ts';
import { ControlClient } from './control-client.ts';
import { call, type ListenFailure, type ThreadData, type ThreadPort, type ToPeer, type ToThread } from './messages.ts';

/** What listens for the shard, and for how long. */
export interface ShardDoor {
  readonly log: Log;
  listen(server: ClusterServer, answers: HttpAnswers): Promise<Pick<Listener, 'port' | 'close'>>;
  revoke(fingerprints: readonly string[]): void;
}

export async function hostShard(data: ThreadData, door: ShardDoor): Promise<void> {
  const control = new ControlClient(data);
  const peers = peersOf(data.peers);
  const shard = makeShard(data, control, peers.ports);
  peers.listen(shard);
  const server = new ClusterServer(shard, control, { ...nodeOf(data), clock: realClock, log: door.log });
  const turn = (): void => {
    shard.turn();
    if (Atomics.load(data.memory.globals, globalWord.PAUSE) === 0) return;
    standStill(data.memory, data.shard);
    // Another shard may have been started again: whatever is for it goes to the new one.
    hearAll(data.pushes, hear);
  };
  shard.onTurn(() => void setImmediate(turn));
  const wanted = new WantedAnswers(control);
  let listener: Pick<Listener, 'port' | 'close'> | null = null;
  const stop = async (): Promise<void> => {
    bell.close();
    stopSweeping();
    const closed = listener?.close();
    server.close();
    shard.turn();
    await closed;
    control.stopped();
  };
  const own: Pick<ThreadPort, 'report' | 'answered' | 'revoke' | 'peer' | 'stop'> = {
    report: (id) => control.reportIs(id, shard.report()),
    answered: (id, answer) => wanted.answered(id, answer),
    revoke: (fingerprints) => door.revoke(fingerprints),
    peer: (at, port) => peers.replace(at, port, shard),
    stop: () => void stop(),
  };
  const hear = ([name, args]: ToThread): void => {
    call(Object.hasOwn(own, name) ? (own as ThreadPort) : (shard as unknown as ThreadPort), name, args);
  };
  data.pushes.on('message', hear);
  shard.onBehind(() => hearAll(data.pushes, hear));
  const bell = hearBell(shard.machine, turn);
  const stopSweeping = realClock.every(SWEEP_MS, () => shard.sweep());
  try {
    listener = await door.listen(server, wanted);
    control.listening(listener.port);
  } catch (error) {
    const { message, code, syscall, hostname } = error as ListenFailure;
    control.notListening({ message, code, syscall, hostname });
  }
}

function makeShard(data: ThreadData, control: ControlClient, peers: readonly PeerPort[]): Shard {
  const { limits, memory, shard, generation, joinsSeen, heldRequests } = data;
  const { epoch, requestsEach, queueMax, startSweeps, joins } = data;
  return new Shard({
    machine: new Scheduler(limits, { memory, shard }),
    control,
    epoch,
    requestsEach,
    queueMax,
    startSweeps,
    peers,
    begun: { joins, joinsSeen, generation, heldRequests },
  });
}

function nodeOf({ name, life }: ThreadData): { name: string; life: number; limits: typeof LINK_LIMITS } {
  return { name, life, limits: LINK_LIMITS };
}

function hearAll(pushes: MessagePort, hear: (message: ToThread) => void): void {
  for (;;) {
    const received = receiveMessageOnPort(pushes) as { message: ToThread } | undefined;
    if (received === undefined) return;
    hear(received.message);
  }
}

interface Peers {
  readonly ports: readonly PeerPort[];
  listen(shard: Shard): void;
  replace(at: number, port: MessagePort, shard: Shard): void;
}

function peersOf(given: readonly (MessagePort | null)[]): Peers {
  const current = [...given];
  const post = (at: number, message: ToPeer): void => current[at]?.postMessage(message);
  const hear = (port: MessagePort | null, shard: PeerPort): void => {
    port?.on('message', ([name, args]: ToPeer) => void call(shard, name, args));
  };
  return {
    ports: given.map((_, at) => ({
      endedElsewhere: (requests) => post(at, ['endedElsewhere', [requests]]),
      noMemory: (core, sequence) => post(at, ['noMemory', [core, sequence]]),
      memoryAvailable: (worker) => post(at, ['memoryAvailable', [worker]]),
    })),
    listen: (shard) => given.forEach((port) => hear(port, shard)),
    replace: (at, port, shard) => {
      current[at]?.close();
      current[at] = port;
      hear(port, shard);
    },
  };
}

/** Whatever is asked over HTTP, the main thread answers. */
class WantedAnswers implements HttpAnswers {
  readonly #control: ControlClient;
  readonly #waiting = new Map<number, (answer: never) => void>();
  #count = 0;

  constructor(control: ControlClient) {
    this.#control = control;
  }

  view(): Promise<object> {
    return this.#want('view');
  }

  metrics(): Promise<string> {
    return this.#want('metrics');
  }

  answered(id: number, answer: object | string): void {
    this.#waiting.get(id)?.(answer as never);
    this.#waiting.delete(id);
  }

  #want<Answer>(what: 'view' | 'metrics'): Promise<Answer> {
    const id = ++this.#count;
    return new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#control.wanted(id, what);
    });
  }
}
