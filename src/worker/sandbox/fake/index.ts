/** The simulated twin of the sandbox door: no processes, no time. See README.md beside this file. */
import { assert } from '../../../base/assert.ts';
import type { CellSpec, Finding, Sandbox, SandboxBackend, SandboxSpec, Zygote } from '../contract.ts';
import { type FakeCell, type FakeCellScript, FakeZygote } from './cell.ts';
import { type FakeInstance, FakeSandbox, type FakeScript } from './instance.ts';

export type { FakeCell, FakeCellScript } from './cell.ts';
export type { FakeInstance, FakeScript } from './instance.ts';

export class FakeBackend implements SandboxBackend {
  readonly name = 'fake';
  readonly #script: FakeScript;
  readonly #cellScript: FakeCellScript | null;
  /** Every instance that was started or forked, oldest first. */
  readonly instances: FakeInstance[] = [];
  readonly cells: FakeCell[] = [];

  /** Without a script for cells it cannot copy. */
  constructor(script: FakeScript, cellScript: FakeCellScript | null = null) {
    this.#script = script;
    this.#cellScript = cellScript;
  }

  async check(): Promise<readonly (Finding & { readonly required: boolean })[]> {
    return [{ topic: 'isolation', ok: true, required: false, detail: 'simulated', fix: '' }];
  }

  async open(): Promise<void> {}

  start(spec: SandboxSpec): Sandbox {
    return this.#play(new FakeSandbox(spec, null));
  }

  canCopy(): boolean {
    return this.#cellScript !== null;
  }

  startCell(spec: CellSpec): Zygote {
    assert(this.#cellScript !== null, 'this fake cannot copy');
    const zygote = new FakeZygote(spec, (copy) => this.#play(copy));
    this.cells.push(zygote.cell);
    return zygote.play(this.#cellScript);
  }

  async close(): Promise<void> {}

  #play(sandbox: FakeSandbox): FakeSandbox {
    this.instances.push(sandbox.instance);
    return sandbox.play(this.#script);
  }
}
