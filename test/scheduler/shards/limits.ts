import type { SchedulerLimits } from '../../../src/scheduler/machine/limits.ts';
import type { Case } from './control.ts';

/** As small as can be. */
export function limitsOf(theCase: Case): SchedulerLimits {
  const words = theCase.workers.map(([cores, _, extras = 0]) => Math.ceil(cores / 32) + Math.ceil(extras / 32));
  const wordCount = words.reduce((sum, each) => sum + each, 0);
  return {
    epoch: 1,
    coreCountMax: wordCount * 32,
    workerCountMax: theCase.workers.length,
    functionCountMax: 1,
    versionCountMax: theCase.versions.length,
    requestCountMax: 16,
    queueMax: 8,
    overtakeMax: theCase.overtakeMax ?? 64,
    warmHintMax: 2,
    isShared: true,
  };
}
