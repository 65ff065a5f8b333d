/** What observers and actuators of sleep and wake cost, and how fast a sleeper has its core back. */
import { actuatorCosts } from './lib/sleep/actuators.ts';
import { lookCosts, quietCosts, switchCosts, tellingLatency } from './lib/sleep/observers.ts';
import { roundTrips } from './lib/sleep/round-trip.ts';
import { programCosts } from './lib/sleep/programs.ts';
import type { BenchOptions, Figure, Part, Report } from './lib/report.ts';
import { ungroupSessions } from '../src/worker/sandbox/sessions.ts';

const PARTS: readonly Part[] = [
  {
    name: 'actuators',
    notes: ['actuators: a Node process that waits, all of its threads; the call of the agent, medians of its calls.'],
    run: actuatorCosts,
  },
  {
    name: 'round-trip',
    notes: [
      'round-trip: to a process that sleeps on its core, and back, by what burns on the core meanwhile; asked by one that spins elsewhere.',
    ],
    run: roundTrips,
  },
  {
    name: 'look',
    notes: [
      'look: of an observer at one sandbox, a Node process in a cgroup of its own; of eight that sleep, and of one that burns.',
    ],
    run: lookCosts,
  },
  {
    name: 'told',
    notes: [
      'told: how long after the moment that the kernel saw; of one that sleeps and burns for 20 ms each, all along.',
    ],
    run: tellingLatency,
  },
  {
    name: 'quiet',
    notes: ['quiet: what it costs to watch sandboxes that sleep all along; all threads of the process that watches.'],
    run: quietCosts,
  },
  {
    name: 'switch',
    notes: [
      'switch: two processes on one CPU that hand a byte to each other, time over switches; what the programs in the kernel add.',
    ],
    run: switchCosts,
  },
  {
    name: 'programs',
    notes: [
      "programs: the kernel's own count of their time over their runs, its counting included, at what processes do that do nothing else;",
      'and how long an empty system call of a Python loop takes, the loop included, with and without them.',
    ],
    run: programCosts,
  },
];

async function run(options: BenchOptions): Promise<Report> {
  const sessions = ungroupSessions();
  const parts = PARTS.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  const figures: Figure[] = [];
  const notes: string[] = [];
  for (const part of parts) {
    const found = await part.run(options);
    notes.push(...part.notes, ...(found.length === 0 ? [`${part.name}: CANNOT BE MEASURED HERE`] : []));
    figures.push(...found);
  }
  sessions.release();
  return { name: 'sleep', notes, figures };
}

export default {
  summary: 'what observers and actuators of sleep and wake cost',
  parts: PARTS.map(({ name }) => name),
  run,
};
