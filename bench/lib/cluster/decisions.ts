/**
 * What the benchmark `schedule` measures inside one process, as part of this run, and what is promised of how the cost of a
 * decision grows with the cluster and with what is leased of it.
 */
import schedule from '../../schedule.ts';
import { atMost, type BenchOptions, compare, type Figure } from '../report.ts';

const GROWTH_MAX = 2;
const SMALL = '1,000 cores';
const LARGE = '640,000 cores';
const ALL_LEASED = 'none idle, handed over';
/** What else that benchmark says of each row is not of this one. */
const LEFT_OUT: readonly string[] = ['bytes', '%'];

export async function decisions(options: BenchOptions): Promise<readonly Figure[]> {
  const { figures } = await schedule.run({ ...options, only: [] });
  const cost = (leased: string, cores: string): Figure => {
    const found = figures.find(({ name }) => name === `each, ${leased}, ${cores}`);
    if (found === undefined) throw new Error(`the benchmark 'schedule' does not say what ${leased}, ${cores} takes`);
    return found;
  };
  const growth = (what: string, to: Figure, from: Figure): Figure =>
    atMost(compare({ ...to, name: `growth ${what}` }, from), GROWTH_MAX);
  return [
    ...figures.filter(({ unit }) => !LEFT_OUT.includes(unit)),
    ...['80 % leased', '10 % leased', ALL_LEASED].map((leased) =>
      growth(`from 1,000 cores, ${leased}`, cost(leased, LARGE), cost(leased, SMALL)),
    ),
    ...[SMALL, LARGE].map((cores) =>
      growth(`from 10 % leased, all leased, ${cores}`, cost(ALL_LEASED, cores), cost('10 % leased', cores)),
    ),
  ];
}
