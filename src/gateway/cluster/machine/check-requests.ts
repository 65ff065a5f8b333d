/** For tests: what holds between requests and workers, between two events. */
import { assert } from '../../../base/assert.ts';
import { NONE, type RequestTable, State } from './request-table.ts';
import type { Workers } from './workers.ts';

export function checkRequests(table: RequestTable, workers: Workers, isConnected: boolean): void {
  table.checkInvariants();
  const counts = new Map<number, number>();
  for (let number = 0; number < table.countMax; number++) {
    const state = table.state(number);
    const hasWorker = state === State.granted || state === State.assigned;
    const id = table.worker[number]!;
    assert(hasWorker === (id !== NONE), `request ${number} in state ${state} has the worker ${id}`);
    if (hasWorker) counts.set(id, (counts.get(id) ?? 0) + 1);
    if (state === State.assigned)
      assert(workers.get(id)?.isOpen === true, `request ${number} was sent where there is no line`);
  }
  for (const worker of workers.all()) {
    const count = counts.get(worker.id) ?? 0;
    assert(worker.requestCount === count, `worker ${worker.name} has ${count} requests, not ${worker.requestCount}`);
  }
  const onLine = [State.asked, State.granted, State.withdrawn, State.lost].map((state) => table.count(state));
  assert(isConnected || onLine.every((count) => count === 0), 'something is asked of nobody');
}
