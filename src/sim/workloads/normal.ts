/** The normal distribution: mean 0, variance 1. */

/** Beyond it, nothing is left in 64 bits. */
const X_MAX = 9;
const BISECTION_COUNT = 60;

/** P(X <= x): Marsaglia's series (Evaluating the Normal Distribution, Journal of Statistical Software 2004). */
export function normalCdf(x: number): number {
  if (Math.abs(x) > X_MAX) return x > 0 ? 1 : 0;
  let sum = x;
  let before = 0;
  let term = x;
  for (let odd = 3; sum !== before; odd += 2) {
    before = sum;
    term *= (x * x) / odd;
    sum += term;
  }
  return 0.5 + (sum * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
}

/** The x of which X stays below with that probability. */
export function normalQuantile(share: number): number {
  let low = -X_MAX;
  let high = X_MAX;
  for (let step = 0; step < BISECTION_COUNT; step++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
