/** The simulated twin of the door to /proc and cgroups: files in memory. Counts what is read and what is open. */
import { assert } from '../../../base/assert.ts';
import { NO_FILE, type Proc } from '../proc.ts';

export class FakeProc implements Proc {
  readonly files = new Map<string, string>();
  readonly #open: (string | null)[] = [];
  readCount = 0;

  get openCount(): number {
    return this.#open.filter((path) => path !== null).length;
  }

  open(path: string): number {
    if (!this.files.has(path)) return NO_FILE;
    return this.#open.push(path) - 1;
  }

  read(descriptor: number): string {
    const path = this.#open[descriptor];
    assert(path !== undefined && path !== null, `descriptor ${descriptor} is not open`);
    this.readCount++;
    return this.files.get(path) ?? '';
  }

  close(descriptor: number): void {
    assert((this.#open[descriptor] ?? null) !== null, `descriptor ${descriptor} is not open`);
    this.#open[descriptor] = null;
  }

  list(folder: string): readonly string[] {
    const names = [...this.files.keys()].filter((path) => path.startsWith(`${folder}/`));
    return [...new Set(names.map((path) => path.slice(folder.length + 1).split('/')[0] ?? ''))];
  }
}
