/**
 * From here on the function waits, and needs its core no more: others may have it until the function goes on. It is
 * believed only as far as it yields: who says so and computes, computes in the background.
 * `reason` is for who reads the code; it goes nowhere.
 *
 * Counts while an invocation runs, in its main thread. Anywhere else, and outside of Perch, it does nothing.
 */
export function sleeping(reason?: string): void;

/** It goes on. Perch sees that by itself too; to say so is sooner. */
export function awake(): void;
