/**
 * For the process that runs the scheduler, on Node's command line. V8 stops inlining calls into a function at a size
 * that a decision exceeds; with more room the whole of `request` and of `release` become one piece of code each, and
 * a decision takes about 0.7 of the time. The machine works without.
 */
export const SCHEDULER_COMPILER_FLAGS: readonly string[] = ['--max-inlined-bytecode-size-cumulative=4000'];
