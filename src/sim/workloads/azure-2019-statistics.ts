/**
 * What is published of Azure Functions in July 2019, without the trace itself.
 *
 * Source: Shahrad and others, "Serverless in the Wild", USENIX ATC '20; the data set "Azure Functions Trace 2019"
 * (github.com/Azure/AzurePublicDataset), © Microsoft, CC BY 4.0. The numbers below are percentiles of its distributions. The joint
 * distribution is not published: whoever draws from several of them draws independently of each other.
 */
import type { Quantiles } from './distributions.ts';

const everyFive = (values: readonly number[]): [number, number][] =>
  values.map((value, index) => [0.05 * (index + 1), value]);

/** Average duration of a function, ms. */
export const DURATION_MS: Quantiles = [
  ...everyFive([10, 20, 45, 80, 125, 180, 255, 365, 500, 670, 890, 1155, 1525, 2125, 3120, 4835, 8210, 16_555, 42_295]),
  [0.99, 222_620],
  [0.999, 599_150],
];

/** The log-normal distribution that the paper fits to them, of the logarithm of seconds: within 3 points from 10 ms to 60 s. */
export const DURATION_MU = -0.38;
export const DURATION_SIGMA = 2.36;
/** As long as a function could run there, seconds, and so about the 99.9th percentile. The fit has a mean of 11.1 s without it and of 8.9 s with it. */
export const DURATION_CUT_S = 600;
/** What the logarithm of seconds lacks to that of microseconds. */
export const LN_US: number = Math.log(1e6);

/** Invocations of an application in a day. */
export const PER_DAY: Quantiles = everyFive([
  1, 1, 2, 2, 3, 5, 9, 19, 36, 74, 140, 252, 289, 433, 584, 1226, 1789, 4504, 20_132,
]);

/** The twentieth of the applications above them, which makes nearly all of the invocations: the topmost hundredth 88 %. */
export const PER_DAY_TOP: Quantiles = [
  [0.99, 333_222],
  [0.995, 954_419],
  [0.998, 2_198_738],
  [0.999, 5_334_114],
  [0.9995, 9_914_976],
  [0.9999, 64_888_804],
  [1, 128_592_666],
];

/** Of the applications: their gaps are all the same. */
export const TIMER_SHARE = 0.227;

/** Coefficient of variation of an application's gaps between invocations; below the first share it is 0. */
export const GAP_CV: Quantiles = [
  [TIMER_SHARE, 0.001],
  [0.5, 0.52],
  [0.9, 4.99],
  [0.95, 9.19],
  [0.99, 33],
];

/** Memory of an application, MB. */
export const MEMORY_MB: Quantiles = [
  [0.05, 100],
  [0.5, 140],
  [0.75, 185],
  [0.9, 210],
  [0.95, 240],
  [0.99, 405],
];

/** Functions of an application: (share of those that have so many or fewer, how many). Those with more are taken to have the last. */
export const FUNCTIONS_PER_APP: Quantiles = [
  [0.503, 1],
  [0.724, 2],
  [0.819, 3],
  [0.905, 5],
  [0.967, 10],
];
