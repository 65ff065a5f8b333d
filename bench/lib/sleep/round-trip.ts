/**
 * How fast an instance that sleeps on its core is there again, by what is on the core meanwhile: a byte goes to a process
 * that is pinned to it and waits in a blocking read, and comes back. Who asks spins on another CPU, so that its own
 * wake-up is not measured.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { readTopology } from '../../../src/worker/agent/topology.ts';
import { libc } from '../../../src/worker/sandbox/libc.ts';
import { Placement } from '../../../src/worker/sandbox/placement.ts';
import { compare, type Figure, quantile } from '../report.ts';
import { Samples } from '../start/figures.ts';
import { BURNING_SCRIPT, Subject } from './subject.ts';

const MSG_DONTWAIT = 0x40;
const ECHO_SCRIPT = `
  const fs = require('node:fs');
  const byte = Buffer.alloc(1);
  console.log('ready');
  // Node opens its end so that it does not block.
  const wait = () => { for (;;) try { return fs.readSync(0, byte); } catch (error) { if (error.code !== 'EAGAIN') throw error; } };
  setImmediate(() => { while (wait() > 0) fs.writeSync(3, byte); });`;
const NEIGHBOURS = ['empty core', 'ordinary neighbour', 'SCHED_IDLE neighbour'] as const;

export async function roundTrips({ smoke }: { readonly smoke: boolean }): Promise<readonly Figure[]> {
  const topology = readTopology(null);
  const [own, cpu] = topology instanceof Error ? [] : topology.cores.flat();
  if (own === undefined || cpu === undefined) return [];
  const echo = await Subject.start(ECHO_SCRIPT);
  const burner = await Subject.start(BURNING_SCRIPT);
  if (echo === null || burner === null) return [];
  const samples = new Samples('µs');
  const mine = new Placement(() => [process.pid]);
  const burns = new Placement(() => burner.taskIds());
  new Placement(() => echo.taskIds()).pin([cpu]);
  mine.pin([own]);
  try {
    for (let round = 0; round < (smoke ? 1 : 5); round++) {
      for (const neighbour of NEIGHBOURS) {
        if (neighbour === 'empty core') burner.child.kill('SIGSTOP');
        else burner.child.kill('SIGCONT');
        if (!burns.pin([cpu]) || !burns.background(neighbour === 'SCHED_IDLE neighbour')) return [];
        const times = await tripsUs(echo, smoke ? 20 : 1000);
        samples.add(`${neighbour}, p50`, quantile(times, 0.5));
        samples.add(`${neighbour}, p99`, quantile(times, 0.99));
      }
    }
  } finally {
    mine.pin(topology instanceof Error ? [] : topology.cores.flat());
    await Promise.all([echo.stop(), burner.stop()]);
  }
  return ['p50', 'p99'].flatMap((what) => {
    const [empty, ...others] = NEIGHBOURS.map((neighbour) => samples.figure(`${neighbour}, ${what}`));
    return [empty!, ...others.map((figure) => compare(figure, empty!))];
  });
}

async function tripsUs(echo: Subject, count: number): Promise<number[]> {
  const descriptors = [echo.child.stdin, echo.child.stdio[3]].map((stream) => descriptorOf(stream));
  const [to = -1, from = -1] = descriptors;
  const byte = new Uint8Array(1);
  const times: number[] = [];
  for (let trip = 0; trip < count; trip++) {
    // It sleeps again, and whoever is beside it has the core.
    await sleep(1);
    const start = performance.now();
    libc!.send(to, byte, 0);
    while (libc!.recv(from, byte, MSG_DONTWAIT) < 0);
    times.push((performance.now() - start) * 1000);
  }
  return times;
}

/** Node keeps it to itself. */
function descriptorOf(stream: unknown): number {
  return (stream as { _handle?: { fd?: number } })._handle?.fd ?? -1;
}
