/** Everything that must hold in the worker machine between two events; for tests. */
import { assert } from '../../base/assert.ts';
import { SlotState } from './actions.ts';
import { coresOf, isLedBy, normalMask } from '../../base/core-mask.ts';
import type { Leases } from './leases.ts';
import { After, Rest, type Slots } from './slots.ts';
import type { Versions } from './versions.ts';

const NONE = -1;

const LEASED: readonly number[] = [SlotState.starting, SlotState.awaiting, SlotState.busy];
const AHEAD: readonly number[] = [SlotState.readying, SlotState.idle];
const RESTING: readonly number[] = [SlotState.idle, SlotState.cell, SlotState.zygote];
const ZYGOTES: readonly number[] = [SlotState.initialising, SlotState.zygote];
const PENDING: readonly number[] = [SlotState.booting, SlotState.initialising, SlotState.readying];
const TIMED: readonly number[] = [...PENDING, SlotState.starting, SlotState.busy];

export function checkFleet(memoryMb: number, slots: Slots, leases: Leases, versions: Versions): void {
  for (let slot = 0; slot < slots.count; slot++) {
    checkSlot(slot, slots, leases);
    checkClean(slot, slots, versions);
  }
  for (let core = 0; core < leases.coreCount; core++) checkCore(core, slots, leases);
  for (let version = 0; version < versions.count; version++) {
    checkVersion(version, slots, versions);
    checkWarm(version, slots, leases, versions);
  }
  checkProvisioned(versions, slots.count - leases.coreCount);
  checkResting(slots);
  checkCounts(slots);
  assert(slots.residentMb <= memoryMb, `resident memory ${slots.residentMb} exceeds ${memoryMb}`);
}

/** A core that is held leads its lease, or is of its lead's mask. */
function checkCore(core: number, slots: Slots, leases: Leases): void {
  const slot = leases.slot[core]!;
  if (slot === NONE) return;
  const lead = slots.core[slot]!;
  assert(leases.slot[lead] === slot, `core ${core} and slot ${slot} disagree`);
  const isOfIt = core === lead || coresOf(lead, leases.maskOf(lead)).includes(core);
  assert(isOfIt, `core ${core} is held for the lease of core ${lead}, which has not got it`);
}

/** It has all of its cores, of which its lead is the lowest. */
function checkLease(slot: number, lead: number, leases: Leases): void {
  const mask = leases.maskOf(lead);
  assert(mask === normalMask(mask) && isLedBy(lead, mask), `core ${lead} does not lead its mask ${mask}`);
  for (const core of coresOf(lead, mask))
    assert(leases.slot[core] === slot, `slot ${slot} has the lease of core ${lead}, and core ${core} is not held`);
}

/** What waits for an invocation of a fresh version ends after it. */
function checkClean(slot: number, slots: Slots, versions: Versions): void {
  if (!AHEAD.includes(slots.state[slot]!) || versions.fresh[slots.version[slot]!] === 0) return;
  assert(slots.after[slot] === After.spent, `slot ${slot} is of a fresh version, and would be used again`);
}

function countOf(slots: Slots, holds: (slot: number, state: number) => boolean): number {
  let count = 0;
  for (let slot = 0; slot < slots.count; slot++) if (holds(slot, slots.state[slot]!)) count++;
  return count;
}

function checkSlot(slot: number, slots: Slots, leases: Leases): void {
  const state = slots.state[slot]!;
  const core = slots.core[slot]!;
  const zygote = slots.zygote[slot]!;
  if (LEASED.includes(state)) assert(core !== NONE, `slot ${slot} runs without a core`);
  else if (state !== SlotState.dying) assert(core === NONE, `slot ${slot} has no lease and holds core ${core}`);
  if (core !== NONE) {
    assert(leases.slot[core] === slot, `slot ${slot} and core ${core} disagree`);
    checkLease(slot, core, leases);
  }
  assert(TIMED.includes(state) === slots.deadlineUs[slot]! < Infinity, `slot ${slot}, state ${state}: its deadline`);
  if (state === SlotState.awaiting)
    assert(slots.state[zygote] === SlotState.initialising, `slot ${slot} awaits what does not initialise`);
  if (zygote !== NONE) {
    const there = ZYGOTES.includes(slots.state[zygote]!) || slots.state[zygote] === SlotState.dying;
    assert(there, `slot ${slot} is a copy of slot ${zygote}, which is no zygote`);
    assert(slots.version[zygote] === slots.version[slot], `slot ${slot} is a copy of another version`);
    if (AHEAD.includes(state)) assert(slots.state[zygote] === SlotState.zygote, `slot ${slot} outlives its zygote`);
  }
  const children = countOf(slots, (child) => slots.zygote[child] === slot);
  assert(children === slots.children[slot], `slot ${slot}: ${slots.children[slot]} copies kept, ${children} found`);
}

function checkVersion(version: number, slots: Slots, versions: Versions): void {
  const all = countOf(slots, (slot) => slots.version[slot] === version);
  assert(all === versions.slots[version], `version ${version}: ${versions.slots[version]} slots kept, ${all} found`);
  const ahead = countOf(slots, (slot, state) => slots.version[slot] === version && AHEAD.includes(state));
  assert(
    ahead === versions.ahead[version],
    `version ${version}: ${versions.ahead[version]} ahead kept, ${ahead} found`,
  );
  const leased = countOf(slots, (slot, state) => slots.version[slot] === version && LEASED.includes(state));
  assert(ahead + leased === versions.live[version], `version ${version}: live instances`);
  if (versions.dropped[version] === 1) assert(ahead === 0, `version ${version} was dropped and has instances ahead`);
  const zygote = versions.zygote[version]!;
  if (zygote === NONE) return;
  assert(ZYGOTES.includes(slots.state[zygote]!), `version ${version}: slot ${zygote} is no zygote`);
  assert(slots.version[zygote] === version, `version ${version}: slot ${zygote} is another's zygote`);
}

/** Who was told that a version is warm hears when it is not, or a lease of it is still to be released. */
function checkWarm(version: number, slots: Slots, leases: Leases, versions: Versions): void {
  if (versions.toldWarm[version] === 0 || leases.isWarm(version)) return;
  const held = countOf(slots, (slot) => slots.version[slot] === version && slots.core[slot] !== NONE);
  assert(held > 0, `version ${version} was said to be warm, and nothing of it is left`);
}

function checkProvisioned(versions: Versions, totalMax: number): void {
  let total = 0;
  const listed = new Set<number>();
  for (let index = 0; index < versions.provisionedCount; index++) listed.add(versions.provisionedAt(index));
  assert(listed.size === versions.provisionedCount, 'a version is listed as provisioned twice');
  for (let version = 0; version < versions.count; version++) {
    const count = versions.provisioned[version]!;
    total += count;
    const asked = versions.asked[version]!;
    const most = count === asked || versions.provisionedTotal === totalMax;
    assert(count <= asked && most, `version ${version}: ${count} are provisioned, ${asked} were asked for`);
    assert(count > 0 === listed.has(version), `version ${version}: ${count} are provisioned, and the list disagrees`);
    assert(count === 0 || versions.dropped[version] === 0, `version ${version} was dropped and is provisioned`);
  }
  assert(total === versions.provisionedTotal, `provisioned: ${versions.provisionedTotal} kept, ${total} found`);
}

function checkResting(slots: Slots): void {
  let frozen = 0;
  for (let slot = slots.resting.head(0); slot !== NONE; slot = slots.resting.after(slot)) {
    assert(RESTING.includes(slots.state[slot]!), `slot ${slot} rests in state ${slots.state[slot]}`);
    if (slots.rest[slot] === Rest.frozen) frozen++;
    else assert(frozen === 0, 'a frozen slot is newer than one that is awake');
  }
  assert(frozen === slots.frozenCount, `frozen: ${slots.frozenCount} kept, ${frozen} found`);
  const resting = countOf(slots, (_, state) => RESTING.includes(state));
  assert(resting === slots.resting.count, `resting: ${slots.resting.count} kept, ${resting} found`);
  const idle = countOf(slots, (_, state) => state === SlotState.idle);
  assert(idle === slots.idle.count, `idle: ${slots.idle.count} kept, ${idle} found`);
}

function checkCounts(slots: Slots): void {
  const of = (...states: number[]): number => countOf(slots, (_, state) => states.includes(state));
  assert(of(SlotState.free) === slots.freeCount, `free: ${slots.freeCount} kept`);
  assert(of(SlotState.dying) === slots.dyingCount, `dying: ${slots.dyingCount} kept`);
  assert(of(...ZYGOTES) === slots.zygoteCount, `zygotes: ${slots.zygoteCount} kept`);
  assert(of(...PENDING) === slots.pendingCount, `pending: ${slots.pendingCount} kept`);
  let residentMb = 0;
  for (let slot = 0; slot < slots.count; slot++) {
    const state = slots.state[slot];
    if (state !== SlotState.free && state !== SlotState.dying) residentMb += slots.memoryMb[slot]!;
  }
  assert(residentMb === slots.residentMb, `resident memory: ${slots.residentMb} kept, ${residentMb} found`);
  for (const [kind, kept] of slots.cellCount.entries()) {
    const cells = countOf(
      slots,
      (slot, state) => (state === SlotState.booting || state === SlotState.cell) && slots.cellKind[slot] === kind,
    );
    assert(cells === kept, `cells of kind ${kind}: ${kept} kept, ${cells} found`);
  }
}
