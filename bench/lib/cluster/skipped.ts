/** What a part answers that cannot run here. */
import type { Figure } from '../report.ts';

/** Said in capitals on standard error, so that a run without the part is not taken for a whole one. */
export function skipped(part: string, why: string): readonly Figure[] {
  process.stderr.write(`SKIPPED, THE PART '${part}' WAS NOT MEASURED: ${why}\n`);
  return [];
}
