/** How a gateway in a cluster counts. */
import type { Counter, Metrics } from '../../telemetry/metrics.ts';
import { UnstartedWhy } from '../../wire/cluster/small-frames.ts';
import type { GatewayMachine } from './machine/gateway-machine.ts';
import { State } from './machine/request-table.ts';

const WHY_NAMES: Readonly<Record<UnstartedWhy, string>> = {
  [UnstartedWhy.noMemory]: 'no-memory',
  [UnstartedWhy.staleLease]: 'refused',
  [UnstartedWhy.stopping]: 'stopping',
  [UnstartedWhy.unreachable]: 'unreachable',
  [UnstartedWhy.cancelled]: 'cancelled',
};

export class GatewayCounters {
  readonly lost: Counter;
  readonly tookOver: Counter;
  readonly #unstarted: ReadonlyMap<number, Counter>;

  constructor(metrics: Metrics) {
    this.lost = metrics.counter('perch_gateway_worker_lost_total');
    this.tookOver = metrics.counter('perch_gateway_took_over_total');
    const entries = Object.entries(WHY_NAMES).map(
      ([why, name]) => [Number(why), metrics.counter('perch_gateway_unstarted_total', name)] as const,
    );
    this.#unstarted = new Map(entries);
  }

  unstarted(why: UnstartedWhy): void {
    this.#unstarted.get(why)!.add();
  }
}

export function gatewayGauges(machine: GatewayMachine, metrics: Metrics): void {
  metrics.read('perch_gateway_requests', () => ({
    accepted: machine.count(State.accepted),
    asked: machine.count(State.asked),
    granted: machine.count(State.granted),
    assigned: machine.count(State.assigned),
    withdrawn: machine.count(State.withdrawn),
  }));
  metrics.read('perch_gateway_workers', () => {
    const told = [...machine.workers()].filter((worker) => worker.told);
    const open = told.filter(({ isOpen }) => isOpen).length;
    return { open, none: told.length - open };
  });
  metrics.read('perch_gateway_scheduler_connected', () => (machine.isConnected ? 1 : 0));
}
