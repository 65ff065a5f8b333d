/**
 * One platform of a server after the other: who looks what is free, and takes it, would take what another one takes that looks at the same
 * time; and who removes what a killed one left would remove what another one has in its place by then. Whose turn it is has a table of
 * nf_tables that only its socket can have, and that the kernel removes with it, so nobody who dies keeps the others. Only root can make one.
 *
 * Rejected: a file to lock or a socket to bind, since platforms in containers can share a network and no folder, and anybody could have them
 * first; to look again afterwards whether somebody else has the same: links of both may be there by then.
 */
import type { Firewall } from './firewall.ts';

const TABLE = 'perch-turn';
const EPERM = -1;
const EEXIST = -17;
const STEP_MS = 2;
/** A turn takes some milliseconds, and 30 for each platform that was killed. Who has been stopped in its turn is not waited for for ever. */
const PATIENCE_MS = 10_000;

/** Who may make no tables at all hears the same as who looks at that of another socket. */
const UNSEEN_MAX = 20;

const nothing = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits on this thread. Where there can be no turns (before Linux 5.12, without the right to make tables), and where one does not end,
 * `act` is done without.
 */
export function inTurn<T>(firewall: Firewall, act: () => T): T {
  const hasTurn = takeTurn(firewall);
  try {
    return act();
  } finally {
    if (hasTurn) firewall.remove(TABLE);
  }
}

function takeTurn(firewall: Firewall): boolean {
  const deadline = performance.now() + PATIENCE_MS;
  let unseen = 0;
  while (performance.now() < deadline && unseen < UNSEEN_MAX) {
    const result = firewall.claim(TABLE);
    if (result === 0) return true;
    if (result !== EEXIST && result !== EPERM) return false;
    // It may have gone in between.
    unseen = firewall.tables().some(({ name }) => name === TABLE) ? 0 : unseen + 1;
    Atomics.wait(nothing, 0, 0, STEP_MS);
  }
  return false;
}
