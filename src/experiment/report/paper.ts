/**
 * What the paper says in words about its figures 2 and 3. The values that its figures only draw are not here: no number was read off a
 * plot. Source: D. Mvondo, A. Barbalace, A. Tchana, G. Muller, "Tell me when you are sleepy and what may wake you up!", SoCC '21,
 * section 2.2.
 */
export interface PaperValue {
  /** Of chains at once. Null: somewhere within the experiment, the text does not say where. */
  readonly chainCount: number | null;
  readonly from: string;
  readonly low: number;
  readonly high: number;
}

/** Section 2.2: "on a single chain invocation … ranges between 16% to 27% of the total CPU time", both pipelines. */
export const SINGLE_CHAIN_IDLE: PaperValue = { chainCount: 1, from: 'the paper, one chain', low: 0.16, high: 0.27 };

/** Section 2.2, figure 3-c: shares of idle time, image pipeline; and containers, over commitment included. */
export const IDLE_SHARES: readonly PaperValue[] = [
  { chainCount: null, from: 'the paper, microVMs, in-lab server', low: 0.2018, high: 0.7531 },
  { chainCount: null, from: 'the paper, microVMs, a1.metal', low: 0.1825, high: 0.6925 },
  { chainCount: null, from: 'the paper, containers', low: 0.178, high: 0.316 },
];

/** Section 2.2, figure 3: seconds of the image chains, with one and with 50 at once. Its ratios are 2.97 and 3.92. */
export const EXEC_SECONDS: readonly PaperValue[] = [
  { chainCount: null, from: 'the paper, in-lab server', low: 28.3, high: 83.41 },
  { chainCount: null, from: 'the paper, a1.metal', low: 20, high: 78.52 },
];

export const CITATION =
  "D. Mvondo, A. Barbalace, A. Tchana, G. Muller: Tell me when you are sleepy and what may wake you up! SoCC '21, section 2.2. doi:10.1145/3472883.3487013";
