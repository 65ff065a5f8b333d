/** A shard in a storm: does at random whatever a shard may be asked to do, at full speed; then ends what runs until nobody waits. */
import { parentPort, workerData } from 'node:worker_threads';
import { Prng } from '../../../src/base/prng.ts';
import { Grant } from '../../../src/scheduler/machine/actions.ts';
import { LINE_LOG2 } from '../../../src/scheduler/machine/memory.ts';
import { outcome, Scheduler } from '../../../src/scheduler/machine/scheduler.ts';
import { phase, type StormData, type StormReport } from './storm-control.ts';

const data = workerData as StormData;
const { shard, shardCount, memory, limits, running, inUse, phases, cores, versionCount, workerCount } = data;
const prng = new Prng(data.seed * 31 + shard);
const machine = new Scheduler(limits, { memory, shard });
const grant = new Grant();
/** Each shard has numbers of its own for what it is asked; a core may be released at any shard. */
const numbers = Math.floor(limits.requestCountMax / shardCount);
let nextNumber = 0;
const waiting = new Set<number>();
let [granted, released, stale, woken] = [0, 0, 0, 0];

function takeGrants(): void {
  while (machine.takeGrant(grant)) {
    if (Atomics.exchange(running, grant.core, grant.sequence + 1) !== 0)
      throw new Error(`core ${grant.core} is granted twice`);
    waiting.delete(grant.request);
    granted++;
  }
}

function request(): void {
  nextNumber = nextNumber + 1 === numbers ? 0 : nextNumber + 1;
  const number = shard * numbers + nextNumber;
  if (Atomics.compareExchange(inUse, number, 0, 1) !== 0) return;
  const answer = machine.request(number, prng.below(versionCount));
  if (answer === outcome.queued) waiting.add(number);
  else if (answer !== outcome.granted) Atomics.store(inUse, number, 0);
}

/** Ends what runs on a core, whichever shard granted it. */
function end(core: number, kind: 'release' | 'noMemory'): void {
  const name = Atomics.exchange(running, core, 0);
  if (name === 0) return;
  const number = machine.leases.request(core);
  const known = kind === 'release' ? machine.release(core, name - 1, true) : machine.noMemory(core, name - 1);
  if (!known) throw new Error(`core ${core}: its release is stale`);
  if (kind === 'release') Atomics.store(inUse, number, 0);
  else waiting.add(number);
  released++;
  if (prng.below(20) === 0 && machine.release(core, name - 1, true))
    throw new Error(`core ${core}: the same release counts twice`);
}

function act(): void {
  const kind = prng.below(100);
  const core = cores[prng.below(cores.length)]!;
  if (kind < 45) request();
  else if (kind < 88) end(core, 'release');
  else if (kind < 91) {
    const [number] = waiting;
    if (number !== undefined && machine.cancel(number)) {
      waiting.delete(number);
      Atomics.store(inUse, number, 0);
    }
  } else if (kind < 92) machine.withdraw(core);
  else if (kind < 95) machine.giveBack(core);
  else if (kind === 95 && prng.below(4) === 0) end(core, 'noMemory');
  else if (kind === 96) machine.setConcurrency(0, prng.below(4) > 0 ? -1 : 1 + prng.below(cores.length));
  else if (kind <= 98) machine.memoryAvailable(prng.below(workerCount));
  else if (machine.release(core, prng.below(1 << 20) + (1 << 20), false))
    throw new Error('a made-up lease is released');
  else stale++;
}

function settle(): void {
  if (machine.bells.isRung) woken++;
  machine.settleBatch();
  takeGrants();
}

function storm(): void {
  // All at once: a thread takes longer to begin than a storm does.
  meet(phase.STORM);
  while (granted < data.grantCount) {
    act();
    takeGrants();
    if (prng.below(4) > 0) continue;
    settle();
    // Nothing to do but to wait for others, who may need this processor.
    if (machine.queue.length > 0 && prng.below(8) === 0) Atomics.wait(memory.bells, shard << LINE_LOG2, 0, 1);
  }
  settle();
  meet(phase.ENDING);
}

/** Goes on once everybody is here. */
function meet(at: number): void {
  Atomics.store(phases, shard, at);
  // Others may wait for this shard to look.
  while (phases.some((_, other) => Atomics.load(phases, other) < at)) {
    settle();
    Atomics.wait(memory.bells, shard << LINE_LOG2, 0, 1);
  }
}

/** Nobody looks but for what it is told: what is lost here stays lost. */
function endAll(): void {
  for (let worker = shard; worker < workerCount; worker += shardCount) machine.memoryAvailable(worker);
  for (let i = shard; i < cores.length; i += shardCount) machine.giveBack(cores[i]!);
  settle();
  for (let quiet = 0; quiet < 400;) {
    const before = granted + released + woken;
    for (const core of cores) end(core, 'release');
    settle();
    Atomics.store(phases, shard, machine.queue.length === 0 ? phase.IDLE : phase.ENDING);
    if (phases.every((each) => each === phase.IDLE) && running.every((name) => name === 0)) return;
    quiet = granted + released + woken === before ? quiet + 1 : 0;
    Atomics.wait(memory.bells, shard << LINE_LOG2, 0, 5);
  }
  throw new Error(`nothing happens any more: ${describe()}`);
}

function describe(): string {
  const ofQueue = [...machine.queue.inOrder()].map((entry) => machine.queue.memoryMb(entry));
  const { overtaking, summary, bells } = machine;
  const homes = Array.from({ length: workerCount }, (_, worker) => machine.workers.homeOf(worker));
  return JSON.stringify({
    shard,
    ofQueue,
    greatest: summary.greatest,
    rooms: homes.map((home) => [summary.room(home), machine.rooms.of(home), machine.workers.free(home)]),
    idle: homes.map((home) => machine.cores.hasIdle(home)),
    kept: overtaking.homeKept,
    keptHere: overtaking.keptHome,
    bell: bells.isRung,
    flags: memory.shards.map((_, other) => memory.flags[other << LINE_LOG2]),
    ahead: machine.turns.toStandBackFor(),
    running: running.reduce((sum, name) => sum + Number(name !== 0), 0),
    phases: [...phases],
  });
}

let error: string | null = null;
try {
  storm();
  endAll();
} catch (thrown) {
  error = thrown instanceof Error ? thrown.stack! : String(thrown);
}
parentPort!.postMessage({ shard, granted, released, stale, woken, error } satisfies StormReport);
