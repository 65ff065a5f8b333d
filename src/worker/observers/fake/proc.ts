/**
 * The simulated twin of the door to /proc and cgroups: files in memory. Counts what is read and what is open. As in /proc, what was
 * opened and is gone stays so, also when there is a file of that name again.
 */
import { assert } from '../../../base/assert.ts';
import { NO_FILE, type Proc } from '../proc.ts';

const GONE = '';

class Files extends Map<string, string> {
  readonly #gone: (path: string) => void;

  constructor(gone: (path: string) => void) {
    super();
    this.#gone = gone;
  }

  override delete(path: string): boolean {
    this.#gone(path);
    return super.delete(path);
  }

  override clear(): void {
    for (const path of this.keys()) this.delete(path);
  }
}

export class FakeProc implements Proc {
  /** By descriptor: the path, GONE, or null where it was closed. */
  readonly #open: (string | null)[] = [];
  readonly files: Map<string, string> = new Files((gone) => {
    for (const [descriptor, path] of this.#open.entries()) if (path === gone) this.#open[descriptor] = GONE;
  });
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
