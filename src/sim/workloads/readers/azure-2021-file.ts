/**
 * The Azure Functions invocation trace of 2021 in its own format, two weeks of single invocations:
 *
 *   app,func,end_timestamp,duration
 *
 * in seconds. The file is in the order of the ends; an invocation arrives at its end less its duration, which is when it started: how
 * long it had waited before is not recorded.
 */
import type { OptionValues } from '../../policy.ts';
import { SpecError } from '../../spec-error.ts';
import type { Workload } from '../../workload.ts';
import { number, type WorkloadKind } from '../kind.ts';
import { ASLEEP, givenPath, pathOption, REPEAT } from './options.ts';
import { Recording } from './recording.ts';
import { eachRow } from './table.ts';

export const azure2021File: WorkloadKind = {
  name: 'azure2021-file',
  summary: 'a file of the Azure Functions invocation trace of 2021: app,func,end_timestamp,duration',
  options: { path: pathOption('the file'), asleep: ASLEEP, repeat: REPEAT },
  make: readAzure2021,
};

function readAzure2021(options: OptionValues): Workload {
  const file = givenPath('azure2021-file', options, 'path');
  const asleep = number(options, 'asleep') / 100;
  const recording = new Recording();
  eachRow(file, { required: ['app', 'func', 'end_timestamp', 'duration'] }, (row) => {
    const durationS = row.number('duration', 0);
    const functionIndex = recording.functionIndex(`${row.text('app')}/${row.text('func')}`);
    const startUs = (row.number('end_timestamp') - durationS) * 1e6;
    recording.add(startUs, functionIndex, durationS * (1 - asleep) * 1e6, durationS * asleep * 1e6);
  });
  if (recording.count === 0) throw new SpecError(`${file}: no invocation in it`);
  return recording.workload('azure2021-file', number(options, 'repeat'));
}
