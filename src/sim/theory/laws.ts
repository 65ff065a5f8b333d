/** Distributions of run times as theory needs them. What is drawn in a simulation is the workload's; that both are the same is tested. */
export interface Law {
  /** As a workload is written. */
  readonly workload: string;
  readonly name: string;
  /** ms, as are all times of a law. */
  readonly mean: number;
  /** Mean of the square. */
  readonly square: number;
}

/** A law that has a density, and what is known of a run that is broken off at x. */
export interface SmoothLaw extends Law {
  /** The time that `share` of all exceed. */
  above(share: number): number;
  /** The share that exceeds x. */
  shareAbove(x: number): number;
  /** Mean of min(X, x). */
  cutMean(x: number): number;
  /** Mean of min(X, x)². */
  cutSquare(x: number): number;
}

export function deterministicLaw(mean: number): Law {
  return { workload: `deterministic:mean=${mean}`, name: 'deterministic', mean, square: mean * mean };
}

export function bimodalLaw(short: number, long: number, share: number): Law {
  return {
    workload: `bimodal:short=${short},long=${long},share=${share}`,
    name: 'bimodal',
    mean: short * (1 - share) + long * share,
    square: short * short * (1 - share) + long * long * share,
  };
}

export function exponentialLaw(mean: number): SmoothLaw {
  return {
    workload: `exponential:mean=${mean}`,
    name: 'exponential',
    mean,
    square: 2 * mean * mean,
    above: (share) => -mean * Math.log(share),
    shareAbove: (x) => Math.exp(-x / mean),
    cutMean: (x) => -mean * Math.expm1(-x / mean),
    cutSquare: (x) => -2 * mean * (mean * Math.expm1(-x / mean) + x * Math.exp(-x / mean)),
  };
}

/** `alpha` is neither 1 nor 2, where the integrals have another form. */
export function paretoLaw(alpha: number, low: number, high: number): SmoothLaw {
  const cut = (low / high) ** alpha;
  // The integral of power · t^(power − 1) · P(X > t), from `low` to x.
  const tail = (x: number, power: number): number => {
    const falling = (low ** alpha * (x ** (power - alpha) - low ** (power - alpha))) / (power - alpha);
    return (power * falling - cut * (x ** power - low ** power)) / (1 - cut);
  };
  const cutMoment = (x: number, power: number): number => (x <= low ? x ** power : low ** power + tail(x, power));
  return {
    workload: `pareto:alpha=${alpha},low=${low},high=${high}`,
    name: 'Pareto',
    mean: cutMoment(high, 1),
    square: cutMoment(high, 2),
    above: (share) => low * (share * (1 - cut) + cut) ** (-1 / alpha),
    shareAbove: (x) => (x <= low ? 1 : x >= high ? 0 : ((low / x) ** alpha - cut) / (1 - cut)),
    cutMean: (x) => cutMoment(x, 1),
    cutSquare: (x) => cutMoment(x, 2),
  };
}
