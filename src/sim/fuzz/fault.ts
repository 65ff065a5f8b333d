/** What goes wrong in a fuzzed cluster, and what operators do to it. `faults.ts` does it. */
export const FAULT_KINDS = [
  /** A connection of any two nodes breaks. */
  'cut',
  /** Two nodes do not reach each other for a while. */
  'partition',
  /** A worker dies, with all that runs there, and comes back as another. */
  'worker-dies',
  /** A worker takes no more, and goes when nothing runs there. */
  'worker-stops',
  'gateway-dies',
  /** Another scheduler takes over, under a new epoch; now and then one that begins with an old one. */
  'scheduler-dies',
  /** Another one takes over, and the one before lives on for a while for those that are still connected to it. */
  'two-schedulers',
  /** Cores of a worker are withdrawn for a while. */
  'withdraw',
  /** A reserved concurrency of a function, from one gateway. */
  'limit',
  'provision',
  /** Another revision of a function. */
  'deploy',
  /** An instance, cell or zygote ends. */
  'instance-dies',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly atUs: number;
  readonly kind: FaultKind;
  /** Which nodes, how many. */
  readonly a: number;
  readonly b: number;
  readonly forUs: number;
}
