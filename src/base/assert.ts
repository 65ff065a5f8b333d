/**
 * Assertions stay on in production: a broken invariant is a bug, and a bug crashes the process that has it.
 * Never use them for what a user or a function sends; that is answered with a `UserError`.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** For the branch that cannot be reached once every case is handled; the compiler checks that too. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}

export class AssertionError extends Error {
  override name = 'AssertionError';
}
