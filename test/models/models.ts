/** Which model is run how, and by which mutants it has to be refuted. */

export interface Run {
  readonly defines: readonly string[];
  /** An LTL property under weak fairness; without one: assertions and invalid end states. */
  readonly ltl?: string;
  /** For `npm run soak -- models` only. */
  readonly isLong?: boolean;
}

export interface Mutant extends Run {
  readonly name: string;
  readonly finds: 'assertion' | 'cycle';
}

export interface Model {
  readonly name: string;
  readonly runs: readonly Run[];
  readonly mutants: readonly Mutant[];
}

const SMALL: Run = { defines: [] };

function refuted(names: readonly string[], defines: readonly string[] = []): readonly Mutant[] {
  return names.map((name) => ({ name, defines, finds: 'assertion' }));
}

const PAIR = ['CORES=2', 'PAIRS=1'];
const TWO_PAIRS = ['CORES=2', 'PAIRS=2'];

export const MODELS: readonly Model[] = [
  {
    name: 'wait',
    runs: [
      SMALL,
      { defines: ['N=2', 'CORES=2', 'REQUESTS=4'] },
      { defines: ['REQUESTS=2'], ltl: 'served' },
      { defines: [], ltl: 'served', isLong: true },
      { defines: ['REQUESTS=4'], isLong: true },
    ],
    mutants: [
      ...refuted(['PLAIN_CLAIM', 'PLAIN_FLAG', 'LOOK_BEFORE_FLAG', 'NO_SECOND_LOOK', 'FLAGS_BEFORE_BIT']),
      ...refuted(['LOST_BATON', 'KEEP_BATON']),
      ...refuted(['LOOK_BEFORE_CLEAR'], ['REQUESTS=4']),
    ],
  },
  {
    name: 'turn',
    runs: [
      { defines: ['BOUND'] },
      { defines: TWO_PAIRS, ltl: 'first' },
      { defines: [], ltl: 'first', isLong: true },
      { defines: PAIR, ltl: 'first', isLong: true },
      { defines: PAIR, ltl: 'second', isLong: true },
    ],
    mutants: [
      { name: 'NO_TURNS', defines: ['BOUND'], finds: 'assertion' },
      { name: 'NO_KEEP', defines: PAIR, ltl: 'first', finds: 'cycle' },
      { name: 'KEPT_FOR_EVER', defines: PAIR, ltl: 'second', finds: 'cycle' },
      { name: 'SILENT_TURN', defines: PAIR, ltl: 'second', finds: 'cycle' },
      { name: 'PIECEMEAL', defines: TWO_PAIRS, ltl: 'first', finds: 'cycle' },
    ],
  },
  {
    name: 'lease',
    runs: [SMALL, { defines: ['GRANTS=5'], isLong: true }],
    mutants: refuted(['PLAIN_CLAIM', 'GRANT_FIRST', 'BIT_FIRST', 'PLAIN_END', 'NO_SEQUENCE', 'NO_FENCE']),
  },
  {
    name: 'withdraw',
    runs: [SMALL],
    mutants: refuted(['NO_LOOK_AFTER_BIT', 'NO_LOOK_AFTER_OUT', 'PLAIN_RETURN']),
  },
  {
    name: 'memory',
    runs: [
      SMALL,
      { defines: ['ENDLESS=0', 'REQUESTS=3'], ltl: 'served' },
      { defines: ['ENDLESS=0'], ltl: 'served', isLong: true },
      { defines: ['N=3', 'REQUESTS=3'], isLong: true },
    ],
    mutants: refuted(['SILENT_GIVE_BACK', 'FLAGS_BEFORE_MEMORY', 'PLAIN_RESERVE', 'KEEP_BATON']),
  },
  {
    name: 'summary',
    runs: [
      { defines: ['REQUESTS=3'] },
      { defines: ['REQUESTS=2'], ltl: 'served' },
      { ...SMALL, isLong: true },
      { defines: ['REQUESTS=3'], ltl: 'served', isLong: true },
      { defines: [], ltl: 'served', isLong: true },
    ],
    mutants: refuted(['NO_SECOND_LOOK', 'SILENT_RAISE', 'SUMMARY_AFTER_FLAGS']),
  },
  { name: 'concurrency', runs: [SMALL], mutants: refuted(['PLAIN_ENTER', 'ADD_FIRST']) },
  {
    name: 'dead',
    runs: [SMALL, { defines: ['REQUESTS=3'], isLong: true }],
    mutants: refuted(['FLAG_STAYS', 'NO_PAUSE', 'NO_SWEEP', 'SILENT_REAPER', 'USUAL_RING']),
  },
];
