/** What it costs the agent to put an instance aside and to bring it back, by each mechanism. */
import { setTimeout as sleep } from 'node:timers/promises';
import { readTopology } from '../../../src/worker/agent/topology.ts';
import { Freezer } from '../../../src/worker/sandbox/cgroup/freezer.ts';
import { Placement } from '../../../src/worker/sandbox/placement.ts';
import { type Figure, quantile } from '../report.ts';
import { Samples } from '../start/figures.ts';
import { IDLE_SCRIPT, Subject } from './subject.ts';

interface Mechanism {
  readonly name: string;
  readonly away: () => unknown;
  readonly back: () => unknown;
}

export async function actuatorCosts({ smoke }: { readonly smoke: boolean }): Promise<readonly Figure[]> {
  const rounds = smoke ? 2 : 10;
  const calls = smoke ? 5 : 100;
  const subject = await Subject.start(IDLE_SCRIPT);
  if (subject === null) return [];
  const samples = new Samples('µs');
  const topology = readTopology(null);
  const [here = [], there = here] = topology instanceof Error ? [] : topology.cores;
  const placement = new Placement(() => subject.taskIds());
  const freezer = new Freezer(subject.cgroup);
  const mechanisms: readonly Mechanism[] = [
    { name: 'SCHED_IDLE', away: () => placement.background(true), back: () => placement.background(false) },
    {
      name: 'SCHED_IDLE and another core',
      away: () => placement.place(there, true),
      back: () => placement.place(here, false),
    },
    { name: 'freezer', away: () => freezer.freeze(), back: () => freezer.thaw() },
    { name: 'signals', away: () => subject.child.kill('SIGSTOP'), back: () => subject.child.kill('SIGCONT') },
  ];
  try {
    for (let round = 0; round < rounds; round++) {
      for (const { name, away, back } of mechanisms) {
        const times: [number[], number[]] = [[], []];
        for (let call = 0; call < calls; call++) {
          times[0].push(elapsedUs(away));
          // Its tasks stop one after the other.
          await sleep(1);
          times[1].push(elapsedUs(back));
          await sleep(1);
        }
        samples.add(`${name}, away`, quantile(times[0], 0.5));
        samples.add(`${name}, back`, quantile(times[1], 0.5));
      }
    }
  } finally {
    freezer.close();
    await subject.stop();
  }
  return samples.names.map((name) => samples.figure(name));
}

function elapsedUs(act: () => unknown): number {
  const start = performance.now();
  act();
  return (performance.now() - start) * 1000;
}
