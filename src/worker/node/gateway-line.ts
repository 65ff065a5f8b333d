/**
 * A gateway's connection: SET_VERSION and ASSIGN come, RESULTs go. What runs when the connection ends runs on; its result goes
 * nowhere. Hot: ASSIGN and RESULT of each invocation; a closure and a few small objects for each.
 */
import type { Clock } from '../../base/clock.ts';
import type { FrameSender } from '../../cluster/link/link.ts';
import { decodeKnowledge } from '../../cluster/knowledge-body.ts';
import { sleepsOnOf } from '../../cluster/sleeps-on.ts';
import { CloseReason } from '../../wire/cluster-frame.ts';
import {
  type AssignFrame,
  type KnowledgeFrame,
  ResultFrame,
  ResultKind,
  ResultStart,
  type SetVersionFrame,
} from '../../wire/cluster/body-frames.ts';
import type { WorkerFromGateway } from '../../wire/cluster/directions.ts';
import { type LeaseFrame, UnstartedWhy } from '../../wire/cluster/small-frames.ts';
import type { Agent } from '../agent/agent.ts';
import type { InvocationRecord, InvocationResult, StartKind } from '../agent/contract.ts';
import type { KnowledgeBook } from './knowledge-book.ts';
import type { Described, LeaseName } from './ports.ts';
import type { OwnVersion } from './own-versions.ts';
import type { GatewaySide, Taken, WorkerNode } from './worker-node.ts';

const STARTS: Readonly<Record<StartKind, ResultStart>> = ResultStart;
const REFUSED = {
  'no-memory': UnstartedWhy.noMemory,
  'stale-lease': UnstartedWhy.staleLease,
  stopping: UnstartedWhy.stopping,
} as const;

/** As ASSIGN named it. */
interface Name extends LeaseName {
  readonly request: number;
}

export interface GatewayDoors {
  readonly node: WorkerNode;
  readonly agent: Pick<Agent, 'assign'>;
  readonly clock: Clock;
  /** What SET_VERSION says; null where that is no version, or not the one of its key. */
  readonly describe: (key: string, body: Buffer) => Described | null;
  readonly knowledge: Pick<KnowledgeBook, 'tell'>;
  /** An invocation was not taken. */
  readonly refused: (why: UnstartedWhy) => void;
}

export class GatewayLine implements WorkerFromGateway {
  readonly #doors: GatewayDoors;
  readonly #link: FrameSender;
  readonly #side: GatewaySide;

  constructor(doors: GatewayDoors, link: FrameSender) {
    this.#doors = doors;
    this.#link = link;
    this.#side = doors.node.joinGateway();
  }

  left(): void {
    this.#doors.node.leaveGateway(this.#side);
  }

  setVersion(frame: SetVersionFrame): void {
    const described = this.#doors.describe(frame.key, frame.payload);
    if (described === null) return this.#link.close(CloseReason.breach, frame.kind);
    this.#doors.node.setVersion(this.#side, frame.epoch, frame.version, described);
  }

  letGo({ epoch, core, sequence }: LeaseFrame): void {
    this.#doors.node.letGo(this.#side, { epoch, core, sequence });
  }

  knowledge({ kind, payload }: KnowledgeFrame): void {
    const said = decodeKnowledge(payload);
    if (said === null) this.#link.close(CloseReason.breach, kind);
    else this.#doors.knowledge.tell(said);
  }

  assign(frame: AssignFrame): void {
    const { epoch, core, sequence, mask, request } = frame;
    const name: Name = { epoch, core, sequence, mask, request };
    const taken = this.#doors.node.take(this.#side, { ...name, index: frame.version, follows: frame.follows });
    if (typeof taken === 'number') return this.#refuse(name, taken);
    const { refusal } = taken.version.described;
    if (refusal === null) return this.#run(name, taken, frame);
    this.#doors.node.released(taken.core, sequence, false);
    this.#answer(name, false, { kind: 'not-started', error: refusal });
  }

  #run(name: Name, { core, version }: Taken, frame: AssignFrame): void {
    const { agent, node, clock } = this.#doors;
    const { sequence } = name;
    const { next } = frame;
    let readied: OwnVersion | null = null;
    let isOver = false;
    agent.assign(
      { epoch: name.epoch, core, sequence, mask: name.mask },
      {
        requestId: frame.requestId,
        versionIndex: version.number,
        fn: version.described.fn,
        payload: frame.payload,
        clientContext: frame.clientContext,
        traceId: frame.traceId,
        invokedArn: frame.invokedArn,
        tail: frame.tail,
        usedUs: frame.usedUs,
        sleepsOn: sleepsOnOf(frame.sleepsOn),
        queuedAt: frame.shard,
        acceptedUs: clock.nowUs() - frame.queuedUs,
        done: (result) => {
          isOver = true;
          if (readied !== null) node.unwant(readied);
          if (result.kind !== 'refused') return this.#answer(name, node.answered(core, sequence), result);
          // The machine knows which cores are busy.
          node.notTaken(core, sequence, result.why === 'stopping' ? 'stopping' : 'no-memory');
          this.#refuse(name, REFUSED[result.why]);
        },
      },
    );
    // Not before: it would take the room that this one needs.
    if (next !== null && !isOver) readied = node.expect(this.#side, core, next);
  }

  #refuse(name: Name, why: UnstartedWhy): void {
    const frame = frameOf(name);
    frame.result = ResultKind.refused;
    frame.why = why;
    this.#link.sendBody(frame);
    this.#doors.refused(why);
  }

  /** `isKept`: its lease, for what comes next. */
  #answer(name: Name, isKept: boolean, result: Exclude<InvocationResult, { kind: 'refused' }>): void {
    const frame = frameOf(name);
    frame.kept = isKept ? 1 : 0;
    switch (result.kind) {
      case 'bad-payload':
        frame.result = ResultKind.badPayload;
        frame.payload = Buffer.from(result.message);
        break;
      case 'not-started': {
        const { code, message, reason } = result.error;
        frame.result = ResultKind.notStarted;
        frame.payload = Buffer.from(JSON.stringify({ code, message, reason }));
        break;
      }
      default:
        frame.result = result.kind === 'response' ? ResultKind.response : ResultKind.error;
        frame.payload = result.payload;
        frame.tail = result.tail;
        putRecord(frame, result.record);
    }
    this.#link.sendBody(frame);
  }
}

function frameOf({ epoch, core, sequence, request }: Name): ResultFrame {
  const frame = new ResultFrame();
  frame.epoch = epoch;
  frame.core = core;
  frame.sequence = sequence;
  frame.request = request;
  return frame;
}

function putRecord(frame: ResultFrame, record: InvocationRecord): void {
  frame.start = STARTS[record.start];
  // Two readings of a clock may differ by less than they can hold.
  frame.queuedUs = Math.max(0, record.queuedUs);
  frame.startUs = record.startUs;
  frame.initUs = record.initUs;
  frame.runUs = record.runUs;
  frame.memoryPeakMb = record.memoryPeakMb;
  frame.billedMs = record.billedMs;
  frame.shard = record.queuedAt;
}
