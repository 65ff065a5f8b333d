/** A process to be put aside, watched and waited for, in a version 2 cgroup of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Watched } from '../../../src/worker/observers/contract.ts';
import { parseIds } from '../../../src/worker/sandbox/affinity.ts';
import { KeptFile, makeFolder, readIds, removeFolder, tryWrite } from '../../../src/worker/sandbox/cgroup/folder.ts';
import { readHierarchies } from '../../../src/worker/sandbox/cgroup/mounts.ts';
import { firstLine } from '../servers.ts';

let groupCount = 0;

export class Subject implements Watched {
  readonly child: ChildProcess;
  readonly cgroup: string;
  readonly #threads: KeptFile;

  private constructor(child: ChildProcess, cgroup: string) {
    this.child = child;
    this.cgroup = cgroup;
    this.#threads = new KeptFile(`${cgroup}/cgroup.threads`, 'r');
  }

  /** `script`: JavaScript that prints a line when it is ready. Descriptor 3 is a socket. Null where no cgroup can be made. */
  static async start(script: string): Promise<Subject | null> {
    const own = readHierarchies().v2?.own;
    const folder = `${own}/perch-bench-sleep-${process.pid}-${groupCount++}`;
    if (own === undefined || !makeFolder(folder)) return null;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit', 'pipe'] });
    await firstLine(child);
    if (!tryWrite(folder, 'cgroup.procs', String(child.pid))) throw new Error(`${folder} cannot be joined`);
    return new Subject(child, folder);
  }

  processIds(): readonly number[] {
    return readIds(this.cgroup, 'cgroup.procs');
  }

  taskIds(): readonly number[] {
    return parseIds(this.#threads.read());
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    this.#threads.close();
    while (!removeFolder(this.cgroup)) await sleep(5);
  }
}

export const IDLE_SCRIPT = `console.log('ready'); process.stdin.resume();`;
export const BURNING_SCRIPT = `console.log('ready'); setImmediate(() => { for (;;); });`;
