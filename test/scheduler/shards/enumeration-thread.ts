/** A shard of an enumeration, on a thread of its own: the shipped machine, stopped before each access to a shared word. */
import { coresOf } from '../../../src/base/core-mask.ts';
import { registerHooks } from 'node:module';
import { workerData } from 'node:worker_threads';
import type { Scheduler } from '../../../src/scheduler/machine/scheduler.ts';
import type { SharedMemory } from '../../../src/scheduler/machine/memory.ts';
import {
  CONTROLLER,
  control as at,
  CORE_MAX,
  MACHINE,
  mutate,
  STEP_MAX,
  TRACE_STRIDE,
  type Action,
  type ThreadData,
} from './control.ts';
import { Door } from './door.ts';
import { limitsOf } from './limits.ts';

const { shard, theCase, mutant, controls } = workerData as ThreadData;
const { control, trace, running, leases } = controls;
const placeOf = (thread: number): number => theCase.places?.[thread] ?? thread;
const real = globalThis.Atomics;
/** Long enough for the controller to begin the next schedule. */
const LATE_MS = 3;
/** Nobody writes it. */
const NEVER = new Int32Array(new SharedArrayBuffer(4));

/** The schedule is over, or was given up. */
class Restart extends Error {}

if (mutant !== null) {
  const source = mutate(mutant);
  const url = new URL(mutant.file, MACHINE).href;
  registerHooks({
    load: (asked, context, nextLoad) => {
      const loaded = nextLoad(asked, context);
      return asked === url ? { ...loaded, source } : loaded;
    },
  });
}

let generation = 0;
let lookCount = 0;

/** As a thread may be, on a busy machine. */
function beLate(): void {
  if (++lookCount % (theCase.lateEach ?? Infinity) === 0) real.wait(NEVER, 0, 0, LATE_MS);
}

function waitForTurn(): void {
  for (;;) {
    // First whose turn it is: the generation goes up before that changes, so no turn of the next schedule is taken for one of this.
    const current = real.load(control, at.CURRENT);
    beLate();
    if (real.load(control, at.GENERATION) !== generation) throw new Restart();
    if (current === shard) return;
    real.wait(control, at.CURRENT, current);
  }
}

function letRun(thread: number): void {
  real.store(control, at.CURRENT, thread);
  real.notify(control, at.CURRENT);
}

function readyMask(): number {
  let mask = 0;
  for (let thread = 0; thread < theCase.shardCount; thread++)
    if (control[at.ASLEEP + thread] === 0) mask |= 1 << thread;
  return mask;
}

function stop(word: number, isWrite: boolean): void {
  if (control[at.IS_COUNTED] === 0) return;
  const step = control[at.STEP]!;
  const next = control[at.SWITCH_NEXT]!;
  const place = at.SWITCHES + next * 2;
  if (next < control[at.SWITCH_COUNT]! && control[place] === step) {
    control[at.SWITCH_NEXT]! += 1;
    letRun(control[place + 1]!);
    waitForTurn();
    return stop(word, isWrite);
  }
  if (step >= STEP_MAX) throw new Error('the schedule does not end');
  trace.set([shard, word, Number(isWrite), readyMask()], step * TRACE_STRIDE);
  control[at.STEP] = step + 1;
}

function sleep(): void {
  control[at.ASLEEP + shard] = 1;
  let next = CONTROLLER;
  for (let thread = 0; thread < theCase.shardCount && next === CONTROLLER; thread++)
    if (control[at.ASLEEP + thread] === 0) next = thread;
  letRun(next);
  waitForTurn();
}

const door = new Door(stop);
const memory = door.wrapMemory(workerData.memory as SharedMemory);
door.replaceAtomics((array, index) => {
  // Whoever is awake hears nothing: he looks at his bell before he sleeps.
  for (let thread = 0; thread < theCase.shardCount && array === memory.bells; thread++)
    if (placeOf(thread) === index >>> 4) control[at.ASLEEP + thread] = 0;
});
const { Scheduler: Machine } = await import('../../../src/scheduler/machine/scheduler.ts');
const { Grant } = await import('../../../src/scheduler/machine/actions.ts');
const grant = new Grant();

let machine: Scheduler;
interface Held {
  readonly core: number;
  readonly sequence: number;
  readonly mask: number;
}

let own: Held | null = null;
let isBatch = false;

function takeGrants(): void {
  while (machine.takeGrant(grant)) {
    const { core, sequence, mask } = grant;
    for (const each of coresOf(core, mask)) {
      if (running[each] !== 0) throw new Error(`core ${each} is granted twice`);
      running[each] = sequence + 1;
    }
    const count = running.reduce((sum, name) => sum + Number(name !== 0), 0);
    if (count > (theCase.runningMax ?? Infinity)) throw new Error(`${count} requests run`);
    own = { core, sequence, mask };
    if (control[at.IS_COUNTED] === 0) leases.set([core, sequence, mask], control[at.LEASE_COUNT]!++ * 3);
  }
}

/** Its worker has ended it before; others may say so too. */
function ended({ core, sequence, mask }: Held): void {
  for (const each of coresOf(core, mask)) if (each < CORE_MAX && running[each] === sequence + 1) running[each] = 0;
}

function act(action: Action): void {
  const [kind, a = 0] = action;
  if (kind === 'request') machine.request(a, action[2]);
  else if (kind === 'cancel') machine.cancel(a);
  else if (kind === 'release' || kind === 'noMemory') {
    const [core, sequence, mask] = [leases[a * 3]!, leases[a * 3 + 1]!, leases[a * 3 + 2]!];
    ended({ core, sequence, mask });
    if (kind === 'release') machine.release(core, sequence, true);
    else machine.noMemory(core, sequence);
  } else if (kind === 'releaseOwn') {
    const lease = own;
    own = null;
    if (lease === null) return;
    ended(lease);
    machine.release(lease.core, lease.sequence, true);
  } else if (kind === 'withdraw') machine.withdraw(a);
  else if (kind === 'giveBack') machine.giveBack(a);
  else if (kind === 'memoryAvailable') machine.memoryAvailable(a);
  else if (kind === 'forget') machine.forget();
  else if (kind === 'concurrency') machine.setConcurrency(0, a);
  else isBatch = kind === 'batch';
  takeGrants();
  if (isBatch) return;
  machine.settleBatch();
  takeGrants();
}

function play(): void {
  waitForTurn();
  beLate();
  machine = new Machine(limitsOf(theCase), { memory, shard: placeOf(shard) });
  own = null;
  isBatch = false;
  // Each in turn, and the setup begins once all have theirs: nobody makes one beside the steps of another.
  letRun(shard + 1 < theCase.shardCount ? shard + 1 : (theCase.setup[0]?.[0] ?? CONTROLLER));
  waitForTurn();
  while (control[at.IS_COUNTED] === 0) {
    const next = theCase.setup[control[at.SETUP_NEXT]!];
    if (next === undefined) letRun(CONTROLLER);
    else if (next[0] !== shard) letRun(next[0]);
    else {
      control[at.SETUP_NEXT]! += 1;
      act(next[1]);
      // Whoever was rung hears it before the next action of the setup.
      continue;
    }
    waitForTurn();
    if (control[at.IS_COUNTED] === 1) break;
    machine.settleBatch();
    takeGrants();
  }
  for (const action of theCase.actions[shard]!) act(action);
  for (;;) {
    while (machine.bells.isRung) {
      machine.settleBatch();
      takeGrants();
    }
    sleep();
  }
}

function fail(error: unknown): void {
  const text = new TextEncoder().encode(error instanceof Error ? error.message : String(error)).subarray(0, 4096);
  controls.error.set(text);
  control[at.ERROR_LENGTH] = text.length;
  control[at.FAILED] = 1;
  letRun(CONTROLLER);
}

for (;;) {
  real.wait(control, at.GENERATION, generation);
  generation = real.load(control, at.GENERATION);
  if (generation < 0) break;
  try {
    play();
  } catch (error) {
    if (!(error instanceof Restart)) fail(error);
  }
}
