/** The machine lacks something that the operator can mend; the message says what, and how. */
export class SandboxError extends Error {
  override name = 'SandboxError';
}
