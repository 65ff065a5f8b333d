/** A language runtime: a folder beside this file, with what runs inside the sandbox and this description of it. */
import type { RuntimeName } from '../../store/store.ts';

export interface Runtime {
  /** The Lambda names it serves. */
  readonly names: readonly RuntimeName[];
  /** The folder that appears inside as /var/runtime. */
  readonly dir: string;
  /** The interpreter on the host. */
  interpreter(): string;
  args(memoryMb: number): readonly string[];
  /** What it adds to the environment of every instance. */
  env(): Readonly<Record<string, string>>;
}
