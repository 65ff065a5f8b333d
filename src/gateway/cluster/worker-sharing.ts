/**
 * What workers say of how they share their cores: asked of them when somebody looks, so that it costs nothing else. One that cannot be
 * reached, or is of an earlier version, says nothing.
 */
import { LIMITS } from '../../base/limits.ts';
import type { SharingView } from '../../worker/agent/sharing-view.ts';
import type { Worker } from './machine/workers.ts';
import type { GatewayNodeDoors } from './setting.ts';
import type { WorkerLines } from './worker-lines.ts';

const PATH = '/sharing';

/** By the numbers of the workers. In a large cluster not all are asked. */
export async function askSharing(
  workers: readonly Readonly<Worker>[],
  lines: WorkerLines,
  ask: GatewayNodeDoors['askWorker'],
): Promise<ReadonlyMap<number, SharingView>> {
  const views = new Map<number, SharingView>();
  const asked = workers.filter(({ told, isOpen }) => told && isOpen).slice(0, LIMITS.workersAskedMax);
  await Promise.all(
    asked.map(async ({ id }) => {
      const place = lines.placeOf(id);
      const view = place === null ? null : await ask(place, PATH, LIMITS.workerAnswerMs);
      if (view !== null) views.set(id, view as SharingView);
    }),
  );
  return views;
}
