/**
 * Plays a case: a safety phase, with all that goes wrong in it, then a liveness phase, in which all is well and whatever was accepted must end. Everything that
 * must hold is looked at after each step.
 */
import type { FuzzCase } from './case.ts';
import { checkWorld } from './checks.ts';
import { applyFault, heal } from './faults.ts';
import { FuzzWorld } from './world.ts';

/** Virtual time for the liveness phase: what is lost is found by sweeps of a second, and workers that stop take some of these. */
const LIVENESS_US = 60_000_000;
const LOOK_US = 100_000;
/** A case that does not end in so many steps goes round in circles. */
const STEP_MAX = 3_000_000;

export interface Failure {
  readonly phase: 'safety' | 'liveness';
  readonly step: number;
  readonly nowUs: number;
  /** What did not hold. */
  readonly what: string;
  readonly where: string;
  /** The last of what happened. */
  readonly history: readonly string[];
}

export interface Played {
  readonly stepCount: number;
  readonly virtualUs: number;
  /** Of all events: the same case has the same one. */
  readonly traceHash: string;
  readonly invocationCount: number;
  readonly failure: Failure | null;
}

export function play(theCase: FuzzCase): Played {
  let phase: Failure['phase'] = 'safety';
  let world: FuzzWorld | null = null;
  let failure: Failure | null = null;
  try {
    const made = new FuzzWorld(theCase);
    world = made;
    for (const fault of theCase.faults) made.time.later(fault.atUs, () => applyFault(made, fault));
    run(made, theCase.endUs);
    phase = 'liveness';
    heal(made);
    failure = bringToEnd(made);
  } catch (error) {
    failure = failureOf(world, phase, error as Error);
  }
  return {
    stepCount: world?.history.step ?? 0,
    virtualUs: world?.time.nowUs() ?? 0,
    traceHash: world?.time.engine.hash.toString() ?? '',
    invocationCount: world?.invocations.size ?? 0,
    failure,
  };
}

function run(world: FuzzWorld, untilUs: number): void {
  while (world.step(untilUs)) {
    checkWorld(world);
    if (world.history.step > STEP_MAX) throw new Error(`the case does not end in ${STEP_MAX} steps`);
  }
}

function bringToEnd(world: FuzzWorld): Failure | null {
  const endUs = world.time.nowUs() + LIVENESS_US;
  while (world.time.nowUs() < endUs) {
    run(world, world.time.nowUs() + LOOK_US);
    // Time stands where the last event was.
    world.time.engine.nowUs = Math.max(world.time.engine.nowUs, Math.min(endUs, world.time.nowUs() + LOOK_US / 10));
    if (world.pending().length === 0 && endless(world).length === 0) return null;
  }
  const what = [...endless(world), ...world.pending()].join('; ');
  return failureOf(world, 'liveness', new Error(`after ${LIVENESS_US / 1e6} s in which all was well: ${what}`));
}

/** Invocations that were accepted and have no end. */
function endless(world: FuzzWorld): string[] {
  return [...world.invocations.values()]
    .filter(({ end, isUnwanted }) => end === null && !isUnwanted)
    .map(({ name }) => `${name} has no end`);
}

function failureOf(world: FuzzWorld | null, phase: Failure['phase'], { message, stack = '' }: Error): Failure {
  return {
    phase,
    step: world?.history.step ?? 0,
    nowUs: world?.time.nowUs() ?? 0,
    what: message,
    where: placeIn(stack),
    history: world?.history.lines() ?? [],
  };
}

/** The first place in the stack that is none of the assertion's own. */
function placeIn(stack: string): string {
  const lines = stack.split('\n').filter((line) => /^\s+at /.test(line) && !/base\/assert|node:/.test(line));
  return (lines[0] ?? '').trim().replace(/file:\/\/\S*\/(src|dist)\//, '$1/');
}
