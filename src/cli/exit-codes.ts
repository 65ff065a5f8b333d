/** What `perch` exits with; scripts rely on it, so a number never changes its meaning. docs/CLI.md lists them. */
export const EXIT = {
  ok: 0,
  /** The function answered with an error; for `doctor`: functions cannot run in a sandbox here; for `demo`: it failed; for `sim theory`: a figure differs. */
  functionFailed: 1,
  /** The command line, perch.json or the code to deploy is wrong. */
  usage: 2,
  notFound: 3,
  /** The platform refused the request for what it asks: a value, a conflict, a size, credentials. */
  refused: 4,
  /** The platform is busy or stopping; the same request may succeed later. */
  throttled: 5,
  /** No platform answers at the endpoint, or there is no Node to run on. */
  unreachable: 69,
  /** A bug of Perch, or an answer that it does not understand. */
  internal: 70,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/**
 * Ends a command. Thrown rather than returned: a command runs once and every error of its user ends it, so the only
 * place that has anything to decide is the process's edge (main.ts), which prints the one line and exits.
 */
export class CliError extends Error {
  override name = 'CliError';
  readonly exitCode: ExitCode;
  readonly details: string;

  /** The message is one line: what is wrong, then what to do. Longer context (a code frame) goes into `details`. */
  constructor(exitCode: ExitCode, message: string, details = '') {
    super(message);
    this.details = details;
    this.exitCode = exitCode;
  }
}
