/** Everything that must hold in the sharing machine between two events; for tests. */
import { assert } from '../../../base/assert.ts';
import { coresOf } from '../../../base/core-mask.ts';
import { Level } from './actions.ts';
import type { Order } from './order.ts';
import type { Placed } from './placed.ts';
import type { Residents } from './residents.ts';

const NONE = -1;

export function checkSharing(residents: Residents, order: Order, placed: Placed): void {
  for (let core = 0; core < residents.coreCount; core++) checkCore(core, residents, order, placed);
  for (let seat = 0; seat < residents.seatCount; seat++) {
    if (residents.isHeld(seat)) checkResident(seat, residents, placed);
  }
  checkOrder(residents, order, placed);
  if (placed.isKnown) checkCounts(residents, order, placed);
}

function checkCore(core: number, residents: Residents, order: Order, placed: Placed): void {
  const front = placed.front[core]!;
  const top = placed.top[core]!;
  if (top !== NONE) {
    assert(residents.isHeld(top) && residents.core[top] === core, `core ${core} has a top that is not there`);
    assert(residents.level[top] === Level.foreground, `the top of core ${core} is in the background`);
  }
  if (front === NONE) return;
  assert(residents.isAwake(front) && residents.core[front] === core, `the front of core ${core} is not there`);
  if (front === top) return;
  if (residents.isSpare[front] === 1 && hasOthers(core, residents)) return;
  assert(top !== NONE && residents.isAsleep[top] === 1, `the front of core ${core} is in the background for nobody`);
  assert(residents.yields[top] === 0, `seat ${top} polls in front of seat ${front}`);
  const isOwner = residents.ownerOf(core) === top;
  assert(isOwner || order.precedes(top, front), `seat ${top} sleeps in front of seat ${front}, which goes first`);
}

/** Whether somebody is there who is not spare. */
function hasOthers(core: number, residents: Residents): boolean {
  for (let seat = 0; seat < residents.seatCount; seat++) {
    if (residents.isHeld(seat) && residents.core[seat] === core && residents.isSpare[seat] === 0) return true;
  }
  return false;
}

/** The cores that others may be on. With every core withdrawn, they are where they were. */
function isShared(core: number, placed: Placed): boolean {
  return placed.isTaken[core] === 0 && (placed.isOut[core] === 0 || placed.inCount === 0);
}

function sharedCount(placed: Placed): number {
  let count = 0;
  for (let core = 0; core < placed.front.length; core++) if (isShared(core, placed)) count++;
  return count;
}

function checkResident(seat: number, residents: Residents, placed: Placed): void {
  const core = residents.core[seat]!;
  assert(core !== NONE, `seat ${seat} is nowhere`);
  assert(
    placed.top[core] !== NONE || placed.isJoined(core),
    `seat ${seat} is in the background of core ${core} for nobody`,
  );
  const isForeground = residents.level[seat] === Level.foreground;
  assert(isForeground === (placed.top[core] === seat), `exclusive: seat ${seat} on core ${core}`);
  const isOwner = residents.isFixed[seat] === 1;
  if (residents.isSpare[seat] === 1) {
    assert(!isForeground || !hasOthers(core, residents), `seat ${seat} is spare, and in the foreground before others`);
  }
  if (isOwner) assert(core === seat, `seat ${seat} is on core ${core}, and has one of its own`);
  if (isOwner && residents.isAwake(seat)) assert(placed.front[core] === seat, `seat ${seat} waits for its own core`);
  if (residents.isAlone[seat] === 1) {
    assert(isForeground, `seat ${seat} is alone, and in the background`);
    for (const each of coresOf(seat, residents.mask[seat]!))
      assert(placed.isTaken[each] === 1, `core ${each} is not taken`);
  } else if (!isOwner) {
    assert(!isForeground || placed.isTaken[core] === 0, `seat ${seat} is in the foreground of one that is alone`);
    assert(isShared(core, placed) || sharedCount(placed) === 0, `seat ${seat} is on core ${core}, which is not shared`);
  }
}

/** Who has no core of its own has one by the order. */
function checkOrder(residents: Residents, order: Order, placed: Placed): void {
  let leftCount = sharedCount(placed);
  for (let core = 0; core < residents.coreCount; core++) {
    const owner = residents.ownerOf(core);
    if (owner !== NONE && residents.isAwake(owner) && isShared(core, placed)) leftCount--;
  }
  let waitingCount = 0;
  for (let at = 0; at < order.count; at++) {
    const seat = order.seats[at]!;
    assert(residents.isHeld(seat) && residents.isFixed[seat] === 0, `seat ${seat} has no place in the order`);
    assert(at === 0 || order.precedes(order.seats[at - 1]!, seat), `seat ${seat} is out of order`);
    const isFront = placed.front[residents.core[seat]!] === seat;
    const isNext = residents.isAwake(seat) && leftCount-- > 0;
    assert(isFront === isNext, `seat ${seat} ${isFront ? 'has' : 'waits for'} a core against the order`);
    if (residents.isAwake(seat) && !isFront) waitingCount++;
  }
  assert(waitingCount === placed.waitingCount, `${waitingCount} wait, not ${placed.waitingCount}`);
}

/** What the next event builds on, where it does not look at everybody. */
function checkCounts(residents: Residents, order: Order, placed: Placed): void {
  const awakeCount = new Int32Array(residents.coreCount);
  let leftCount = 0;
  let chosenCount = 0;
  for (let core = 0; core < residents.coreCount; core++) {
    const owner = residents.ownerOf(core);
    const isThere = owner !== NONE && residents.isAwake(owner);
    if (isThere) awakeCount[core]!++;
    assert((placed.isShared[core] === 1) === isShared(core, placed), `core ${core} is shared, or not`);
    if (placed.isShared[core] === 1 && !isThere) leftCount++;
  }
  for (let at = 0; at < order.count; at++) {
    const seat = order.seats[at]!;
    const core = residents.core[seat]!;
    const isFront = placed.front[core] === seat;
    if (residents.isAwake(seat)) awakeCount[core]!++;
    if (isFront) chosenCount++;
    assert(placed.toCore[seat] === core, `seat ${seat} is on core ${core}, and should be on ${placed.toCore[seat]}`);
    assert((placed.isChosen[seat] === 1) === isFront, `seat ${seat} is chosen, or not`);
    assert(placed.waits(seat) === (residents.isAwake(seat) && !isFront), `seat ${seat} waits, or not`);
  }
  assert(leftCount === placed.leftCount, `${leftCount} cores are left, not ${placed.leftCount}`);
  assert(chosenCount === placed.chosenCount, `${chosenCount} are chosen, not ${placed.chosenCount}`);
  for (const [core, count] of awakeCount.entries())
    assert(count === placed.awakeCount[core], `${count} are awake on core ${core}, not ${placed.awakeCount[core]}`);
}
