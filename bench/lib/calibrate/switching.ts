/**
 * `switchUs`: the agent's calls that put one instance behind and bring another forward, and the kernel's switch with what the next one finds of its
 * working set: two processes on one CPU that hand a byte to each other and read 512 KB in between, over the same reading alone.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { firstLine } from '../servers.ts';
import { actuatorCosts } from '../sleep/actuators.ts';
import { type MeasuredCosts, type Spread, spreadOfRounds, sumOf } from './spread.ts';

const ROUNDS = 7;
const WORKING_SET_BYTES = 512 * 1024;

/** Prints the microseconds of a switch. `count` of a byte that is not there reads all of it. */
const script = (turns: number): string => `
import os, time
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
own = bytes(bytearray(${WORKING_SET_BYTES}))
def walk(): own.count(b'x')
a, b = os.pipe(), os.pipe()
if os.fork() == 0:
    own = bytes(bytearray(${WORKING_SET_BYTES}))
    for _ in range(${turns}):
        os.read(a[0], 1); walk(); os.write(b[1], b'x')
    os._exit(0)
def both():
    start = time.monotonic_ns()
    for _ in range(${turns}):
        os.write(a[1], b'x'); walk(); os.read(b[0], 1)
    return time.monotonic_ns() - start
def alone():
    start = time.monotonic_ns()
    for _ in range(2 * ${turns}): walk()
    return time.monotonic_ns() - start
alone()
print(max(0, both() - alone()) / ${2 * turns} / 1000)
`;

/** Nothing where there is no python3, or no cgroup may be made. */
export async function switchCosts(options: { readonly smoke: boolean }): Promise<MeasuredCosts> {
  const actuators = await actuatorCosts(options);
  const calls = actuators
    .filter(({ name }) => name === 'SCHED_IDLE, away' || name === 'SCHED_IDLE, back')
    .map(({ value, min, max }): Spread => ({ p50: value, low: min ?? value, high: max ?? value }));
  const switchesUs: number[] = [];
  for (let round = 0; round < (options.smoke ? 1 : ROUNDS); round++) {
    const us = await switchUs(options.smoke ? 50 : 3000);
    if (us !== null) switchesUs.push(us);
  }
  if (calls.length === 0 || switchesUs.length === 0) return {};
  return { switchUs: sumOf(...calls, spreadOfRounds(switchesUs)) };
}

async function switchUs(turns: number): Promise<number | null> {
  const child = spawn('python3', ['-c', script(turns)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const started = await new Promise<boolean>((resolve) => {
    child.once('spawn', () => resolve(true));
    child.once('error', () => resolve(false));
  });
  if (!started) return null;
  const us = Number(await firstLine(child));
  if (child.exitCode === null) await once(child, 'exit');
  return us;
}
