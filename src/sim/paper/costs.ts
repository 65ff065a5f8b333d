/** What the platform's own work costs in the evaluation, and where each number is from. */
import { type Costs, COST_NAMES } from '../costs.ts';
import { formatTime } from '../report/format.ts';

export interface SourcedCosts {
  readonly costs: Costs;
  /** One sentence on all of them. */
  readonly origin: string;
  /** Where each is from. */
  readonly sources: Readonly<Record<keyof Costs, string>>;
}

/** Until the platform has been calibrated: what its benchmarks say already. */
export const STAND_INS: SourcedCosts = {
  costs: {
    networkUs: 33,
    gatewayUs: 65,
    decisionUs: 0.213,
    startUs: 34,
    coldStartUs: 65_000,
    endUs: 34,
    switchUs: 14,
    migrateUs: 65_000,
    sleepSeenUs: 560,
    wakeSeenUs: 610,
  },
  origin:
    'The platform has not been calibrated yet, so these are stand-ins: what its benchmarks say ([SPECIFICATION.md](SPECIFICATION.md)).',
  sources: {
    networkUs: 'half a round trip of 64 bytes between two hosts (Cluster, `hosts`)',
    gatewayUs: 'a request to a bare HTTP server, p50 at 1 connection (Invocation)',
    decisionUs: 'one of 32,768 cores over TCP (Cluster, `rate`)',
    startUs: 'half of what a warm invocation takes beyond that bare request (Invocation)',
    coldStartUs: 'the middle of 50 to 80 ms, where no cell waits (What falls short)',
    endUs: 'the other half of what a warm invocation takes beyond a bare request',
    switchUs: 'an instance of seven threads goes to the background (Sleep and wake)',
    migrateUs: 'Perch migrates nothing. Whoever does has to start an instance at the other server: a cold start',
    sleepSeenUs: 'the observer says so, p50 (Sleep and wake)',
    wakeSeenUs: 'the observer says so, p50 (Sleep and wake)',
  },
};

/** Lowest and highest of the rounds in which it was measured. */
export type Spread = Readonly<Partial<Record<keyof Costs, readonly [number, number]>>>;

export function calibrated(costs: Costs, spread: Spread): SourcedCosts {
  const sourceOf = (name: keyof Costs): string => {
    const [low, high] = spread[name] ?? [];
    const range =
      low === undefined || high === undefined ? '' : `, rounds from ${formatTime(low)} to ${formatTime(high)}`;
    return `measured${range}`;
  };
  return {
    costs,
    origin:
      'Measured on the real platform by `npm run bench -- calibrate` ([calibration.json](../src/sim/calibration.json)), on a machine of two cores that others use too; what each takes in is said in [CALIBRATION.md](CALIBRATION.md).',
    sources: Object.fromEntries(COST_NAMES.map((name) => [name, sourceOf(name)])) as Record<keyof Costs, string>,
  };
}

/** Every function is warm everywhere: for claims that are not about cold starts, so that no policy has any. */
export function warm(costs: Costs): Costs {
  return { ...costs, coldStartUs: 0 };
}
