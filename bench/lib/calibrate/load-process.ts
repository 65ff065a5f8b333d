/**
 * The load generator of `calibrate`, in a process of its own. Open loop: sends at the moments of a plan, whatever became of earlier
 * invocations. A timer may be late; nothing is lost by that, since what is simulated is what was sent. Reads `LoadInput` as JSON and
 * prints `SeenInvocation[]`, in the order in which they were sent; or null where one of them was refused.
 */
import { connect } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Line } from '../cluster/line.ts';
import type { LoadInput, PlannedInvocation, SeenInvocation } from './load.ts';

/** Opened before anything is sent. */
const LINES = 32;
/** One after the other, with nothing to do, so that the code of both sides is compiled before anything counts. */
const WARM_UP_COUNT = 200;
const REFUSED = 429;

const { port, path, plan } = (await json(process.stdin)) as LoadInput;
const free: Line[] = [];

const open = (): Promise<Line> => Line.open(connect({ host: '127.0.0.1', port }));
const nowUs = (): number => performance.now() * 1000;

async function invoke({ demandUs }: PlannedInvocation, startUs: number): Promise<SeenInvocation | null> {
  const line = free.pop() ?? (await open());
  const sentUs = nowUs();
  const { status, head, body } = await line.post(path, JSON.stringify({ demandUs }));
  const latencyUs = nowUs() - sentUs;
  free.push(line);
  if (status === REFUSED) return null;
  if (status !== 200) throw new Error(`${status} ${body}`);
  const field = (name: string): number => Number(new RegExp(`\r\n${name}: *([^\r]*)`, 'i').exec(head)?.[1] ?? NaN);
  return {
    sentUs: sentUs - startUs,
    demandUs,
    latencyUs,
    core: field('x-perch-core'),
    queuedUs: field('x-perch-queued-us'),
    startUs: field('x-perch-start-us'),
    runUs: field('x-perch-run-us'),
    ...(JSON.parse(body) as Pick<SeenInvocation, 'beganUs' | 'usedUs' | 'endedUs'>),
  };
}

async function run(): Promise<readonly SeenInvocation[] | null> {
  for (let index = 0; index < LINES; index++) free.push(await open());
  for (let index = 0; index < WARM_UP_COUNT; index++) await invoke({ atUs: 0, demandUs: 0 }, 0);
  const startUs = nowUs();
  const seen: Promise<SeenInvocation | null>[] = [];
  for (const planned of plan) {
    const waitMs = (startUs + planned.atUs - nowUs()) / 1000;
    if (waitMs > 0) await sleep(waitMs);
    seen.push(invoke(planned, startUs));
  }
  const all = (await Promise.all(seen)).filter((each) => each !== null);
  return all.length === plan.length ? all : null;
}

console.log(JSON.stringify(await run()));
for (const line of free) line.close();
