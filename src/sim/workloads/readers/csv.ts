/**
 * A plain list of invocations, one line each, in any order:
 *
 *   time_s,function,duration_ms[,sleep_ms][,memory_mb]
 *
 * The duration is what it takes alone, with the sleep in it.
 */
import type { OptionValues } from '../../policy.ts';
import { SpecError } from '../../spec-error.ts';
import type { Workload } from '../../workload.ts';
import { type WorkloadKind, number } from '../kind.ts';
import { givenPath, pathOption, REPEAT } from './options.ts';
import { Recording } from './recording.ts';
import { eachRow } from './table.ts';

export const csv: WorkloadKind = {
  name: 'csv',
  summary: 'a recording: time_s,function,duration_ms[,sleep_ms][,memory_mb]',
  options: { path: pathOption('the file'), repeat: REPEAT },
  make: readCsv,
};

function readCsv(options: OptionValues): Workload {
  const file = givenPath('csv', options, 'path');
  const recording = new Recording();
  const columns = { required: ['time_s', 'function', 'duration_ms'], optional: ['sleep_ms', 'memory_mb'] };
  eachRow(file, columns, (row) => {
    const durationMs = row.number('duration_ms', 0);
    const sleepMs = row.has('sleep_ms') ? row.number('sleep_ms', 0) : 0;
    if (sleepMs > durationMs)
      throw row.error(`it sleeps for ${sleepMs} ms of ${durationMs}: the sleep is in the duration`);
    const memoryMb = row.has('memory_mb') ? Math.round(row.number('memory_mb', 1)) : undefined;
    const functionIndex = recording.functionIndex(row.text('function'), memoryMb);
    recording.add(row.number('time_s') * 1e6, functionIndex, (durationMs - sleepMs) * 1e3, sleepMs * 1e3);
  });
  if (recording.count === 0) throw new SpecError(`${file}: no invocation in it`);
  return recording.workload('csv', number(options, 'repeat'));
}
