/**
 * A language runtime: a folder beside this file, with what runs inside the sandbox, this description of it in
 * runtime.ts, and a README.md. `index.ts` lists them.
 */
import type { RuntimeName } from '../../store/store.ts';

export interface RuntimeFinding {
  readonly ok: boolean;
  /** What is there, or what is missing. */
  readonly detail: string;
  /** What to do about it; '' where nothing needs doing. */
  readonly fix: string;
}

export interface Runtime {
  /** Short, for metrics and messages: node, python, wasm, provided. */
  readonly label: string;
  /** The Lambda names it serves. */
  readonly names: readonly RuntimeName[];
  /** The folder that appears inside as /var/runtime. */
  readonly dir: string;
  /** The interpreter on the host: the pinned Node, or a program below /usr. */
  interpreter(): string;
  /** Of an instance that is a process of its own. Placeholders as in `SandboxSpec.args`. */
  args(memoryMb: number): readonly string[];
  /** What it adds to the environment of every instance. Placeholders as in `SandboxSpec.env`. */
  env(name: RuntimeName): Readonly<Record<string, string>>;
  /** Of a stem cell; null where the runtime cannot be forked. */
  cellArgs(): readonly string[] | null;
  /** Every invocation is fresh whatever the isolation, in a process that serves many. */
  readonly alwaysFresh: boolean;
  /** Whether this machine can run it; `perch doctor` prints it, and a function of a runtime that is not ok is refused with it. */
  check(): RuntimeFinding;
}
