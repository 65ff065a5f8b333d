/** What a report is made of, whatever its form. */
import type { Costs } from '../costs.ts';
import type { Summary } from './summary.ts';

export interface Report {
  /** That repeats it. */
  readonly command: string;
  readonly costsName: string;
  readonly costs: Costs;
  readonly summaries: readonly Summary[];
}
