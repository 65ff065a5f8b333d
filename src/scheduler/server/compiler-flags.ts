/**
 * For the process that runs the scheduler, on Node's command line. V8 stops inlining calls into a function at a size
 * that a decision exceeds, and leaves out calls that are seldom made; each call that is left makes the code around it
 * load and check all arrays again. With these the whole of `request` and of `release` become one piece of code each,
 * and a decision takes about 0.75 of the time. The machine works without.
 *
 * For a process that does little else. `perch up` runs without them: its decisions are a hundredth of an invocation, and
 * compiling pieces of that size cost its first seconds a p99 several times as long.
 */
export const SCHEDULER_COMPILER_FLAGS: readonly string[] = [
  '--max-inlined-bytecode-size-cumulative=20000',
  '--max-inlined-bytecode-size-absolute=20000',
  '--min-inlining-frequency=0.01',
];
