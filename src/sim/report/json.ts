/** Everything that is known, as plain data. */
import type { Summary } from './summary.ts';
import type { Report } from './report.ts';

const JSON_FORMAT = 'perch-sim-1';

export function toJson(report: Report): string {
  const { command, costsName, costs, summaries } = report;
  const document = { format: JSON_FORMAT, command, costsName, costs, setups: summaries.map(plain) };
  return JSON.stringify(document) + '\n';
}

/** The costs are the same for all, and stand above. */
function plain({ runs, ...summary }: Summary): unknown {
  const { workload, cores, memoryMb, seconds, warmUpSeconds, faults = [], retries = 0 } = runs[0]!.spec;
  return {
    ...summary,
    workload,
    cores,
    memoryMb,
    seconds,
    warmUpSeconds,
    faults,
    retries,
    results: runs.map(({ result }) => result),
  };
}
