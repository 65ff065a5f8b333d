/**
 * The workloads that several claims share. Run times as the first paper has them: from a tenth of a second on, and of great variety.
 * A hundred functions, the k-th invoked in proportion to 1/k: that matters to those alone who hash by function.
 */
import type { GridWorkload } from './grid.ts';

/** 100 ms is what was billed for at least, and the unit of the paper's reckoning (SoCC ’19, section 3). */
export const EXPONENTIAL: GridWorkload = {
  name: 'exponential',
  spec: 'exponential:mean=100,functions=100,skew=1',
  seconds: 20,
  warmUpSeconds: 5,
};

/** Nine in ten take 50 ms, one takes a second. */
export const BIMODAL: GridWorkload = {
  name: 'bimodal',
  spec: 'bimodal:short=50,long=1000,share=0.1,functions=100,skew=1',
  seconds: 20,
  warmUpSeconds: 5,
};

/** The fit to Azure Functions in 2019, run times up to 10 minutes: mean 8.9 s, median 0.68 s. */
export const AZURE: GridWorkload = {
  name: 'Azure',
  spec: 'lognormal:functions=100,skew=1',
  seconds: 3600,
  warmUpSeconds: 1200,
};
