/** The agent's handles on its metrics. */
import type { Counter, Metrics } from '../../telemetry/metrics.ts';
import type { Histogram } from '../../base/histogram.ts';
import { Ending, Kill, SlotState } from '../machine/actions.ts';
import type { WorkerMachine } from '../machine/worker.ts';
import type { ExitReason } from '../sandbox/contract.ts';
import type { CellUse } from './launcher.ts';
import type { InvocationResult, StartKind } from './contract.ts';

const RESULTS = ['response', 'error', 'timeout', 'exit', 'init-timeout', 'broke-protocol', 'bad-payload'] as const;
type Result = (typeof RESULTS)[number];

const RESULT_OF_ENDING: Record<Ending, Result> = {
  [Ending.answered]: 'error',
  [Ending.exited]: 'exit',
  [Ending.timedOut]: 'timeout',
  [Ending.initTimedOut]: 'init-timeout',
  [Ending.broke]: 'broke-protocol',
  [Ending.initFailed]: 'error',
};

const KILLS: Record<Kill, string> = {
  [Kill.evicted]: 'evicted',
  [Kill.timedOut]: 'timeout',
  [Kill.broke]: 'broke-protocol',
  [Kill.ended]: 'error',
  [Kill.lost]: 'lost',
  [Kill.spent]: 'spent',
  [Kill.uncopyable]: 'uncopyable',
};

export class AgentMetrics {
  readonly started: Counter;
  readonly copiesMade: Counter;
  readonly cellsStarted: Counter;
  readonly pins: Counter;
  /** Fork to ready of a copy for one invocation, microseconds. */
  readonly copy: Histogram;
  readonly logBytes: Counter;
  readonly logDropped: Counter;
  readonly #metrics: Metrics;
  readonly #results: Record<Result, Counter>;
  readonly #starts: Record<StartKind, { starts: Counter; us: Histogram }>;
  readonly #queue: Histogram;
  readonly #run: Histogram;
  readonly #total: Histogram;
  readonly #exit: Histogram;

  /** `cellUses`: what there are cells for, in the order of their kinds. */
  constructor(metrics: Metrics, machine: WorkerMachine, cellUses: readonly CellUse[]) {
    this.#metrics = metrics;
    this.started = metrics.counter('perch_instances_started_total');
    this.copiesMade = metrics.counter('perch_copies_made_total');
    this.cellsStarted = metrics.counter('perch_cells_started_total');
    this.pins = metrics.counter('perch_pins_total');
    this.copy = metrics.histogram('perch_copy_seconds');
    this.#exit = metrics.histogram('perch_exit_seconds');
    this.logBytes = metrics.counter('perch_log_bytes_total');
    this.logDropped = metrics.counter('perch_log_dropped_bytes_total');
    const results = RESULTS.map((result) => [result, metrics.counter('perch_invocations_total', result)] as const);
    this.#results = Object.fromEntries(results) as Record<Result, Counter>;
    const start = (label: string): { starts: Counter; us: Histogram } => ({
      starts: metrics.counter('perch_invocation_starts_total', label),
      us: metrics.histogram('perch_start_seconds', label),
    });
    this.#starts = { warm: start('warm'), copy: start('copy'), cold: start('cold') };
    this.#queue = metrics.histogram('perch_queue_seconds');
    this.#run = metrics.histogram('perch_run_seconds');
    this.#total = metrics.histogram('perch_total_seconds');
    metrics.read('perch_instances', () => ({
      starting: machine.countOf(SlotState.starting) + machine.countOf(SlotState.readying),
      idle: machine.idleCount,
      busy: machine.countOf(SlotState.busy),
      ending: machine.countOf(SlotState.dying),
      zygote: machine.countOf(SlotState.initialising) + machine.countOf(SlotState.zygote),
    }));
    metrics.read('perch_cells', () =>
      Object.fromEntries(cellUses.map(({ label }, kind) => [label, machine.waitingCells(kind)])),
    );
    metrics.read('perch_instances_memory_bytes', () => machine.residentMb * 1024 * 1024);
  }

  /** What is refused is counted by the gateway. */
  ended(result: InvocationResult, ending: Ending): void {
    const { kind } = result;
    if (kind === 'refused' || kind === 'not-started') return;
    this.#results[kind === 'error' ? RESULT_OF_ENDING[ending] : kind].add();
    if (kind === 'bad-payload') return;
    const { record } = result;
    const start = this.#starts[record.start];
    start.starts.add();
    start.us.record(record.startUs);
    this.#queue.record(record.queuedUs);
    this.#run.record(record.runUs);
    this.#total.record(record.queuedUs + record.startUs + record.runUs);
  }

  killed(why: Kill): void {
    this.#metrics.counter('perch_instances_ended_total', KILLS[why]).add();
  }

  /** `answeredUs`: when it gave its only answer, after which it was meant to end; 0: it had none to give, or did not. */
  exited(reason: ExitReason, answeredUs: number, nowUs: number): void {
    // Who answered was counted with its reason then.
    if (answeredUs > 0) this.#exit.record(nowUs - answeredUs);
    // What we killed was counted with its reason when we did.
    else if (reason.kind !== 'killed') this.#metrics.counter('perch_instances_ended_total', reason.kind).add();
  }
}
