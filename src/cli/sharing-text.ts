/** How cores are shared, in words. */
import type { WorkerSharing } from '../gateway/overview.ts';
import { isOrdered, SOURCE_NAMES } from '../worker/agent/sharing-setting.ts';
import type { Knowledge } from './perch-api.ts';

/** As --sharing takes it. */
export function policyText({ policy, perCore }: Pick<WorkerSharing, 'policy' | 'perCore'>): string {
  return policy === 'dedicated' ? policy : `${policy}:${perCore}`;
}

/** Whose word counts. */
export function sourcesText(sources: readonly string[]): string {
  if (sources.length === 0) return 'none';
  return sources.length === SOURCE_NAMES.length ? 'all' : sources.join(',');
}

/** What comes of what an operator has said of a function, as these workers share their cores; none: that is not known. */
export function effectText(said: Omit<Knowledge, 'functionName'>, sharing: readonly WorkerSharing[]): string {
  if (sharing.length === 0) return 'it counts at once where cores are shared by lend, packed or preempt';
  const asking = sharing.filter(isOrdered);
  if (asking.length === 0) {
    const policies = [...new Set(sharing.map(({ policy }) => policy))].join(' and ');
    return `it counts for nothing while --sharing is ${policies}; it does with lend, packed or preempt`;
  }
  const isProgram = said.rules !== null || said.plugin !== null;
  const hearing = asking.filter(({ sources }) => !isProgram || (said.sources ?? sources).includes('directed'));
  if (hearing.length === 0) {
    const what = said.rules === null ? 'its plug-in counts' : 'its rules count';
    return `${what} for nothing, since 'directed' is not among the sources that count for it: --sources names them`;
  }
  if (hearing.length === sharing.length) return 'it counts at once';
  return `it counts at once on ${hearing.length} of ${sharing.length} workers; the others share no cores, or have it not count`;
}
