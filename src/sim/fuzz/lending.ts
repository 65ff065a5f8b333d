/**
 * What a worker has lent, or admitted beside its cores, counted anew at each step from who is there: the machine of sharing keeps the same account
 * event by event (worker/machine/sharing/open-seats.ts), and whoever is wrong in it grants more than there are cores for, or leaves some to nobody.
 */
import { assert } from '../../base/assert.ts';
import { spareSeatCountOf } from '../../worker/agent/sharing-setting.ts';
import type { Sharing } from '../../worker/machine/sharing.ts';
import type { FunctionSpec, WorkerSpec } from './case.ts';

export interface Resident {
  readonly seat: number;
  readonly seats: readonly number[];
  readonly sharing: FunctionSpec['sharing'];
}

export interface LendingSetting {
  readonly spec: WorkerSpec;
  readonly sharing: Sharing;
  readonly seatCount: number;
  readonly isOut: (core: number) => boolean;
}

interface Account {
  /** Extra seats that may be granted; that nobody has. */
  openFree: number;
  free: number;
  /** On extra seats, but for spare ones; and those of them who are awake. */
  extra: number;
  borrowing: number;
  /** On seats of cores, but for those who are alone on theirs: asleep; ended, and the lease kept; spare. */
  asleep: number;
  kept: number;
  spare: number;
  /** Cores that are nobody's alone, and not withdrawn. */
  shared: number;
}

export class Lending {
  readonly #setting: LendingSetting;

  constructor(setting: LendingSetting) {
    this.#setting = setting;
  }

  /** `stayingCount`: seats that may be open still for what goes on with the work of their last. */
  check(residents: readonly Resident[], stayingCount: number): void {
    const { policy } = this.#setting.spec;
    if (policy === 'dedicated') return;
    const account = this.#account(residents);
    if (policy !== 'lend') return this.#checkAdmitted(account, stayingCount);
    const { openFree, borrowing, asleep, kept, spare } = account;
    const open = openFree - stayingCount;
    const most = asleep + kept + spare;
    if (open > 0)
      assert(open + borrowing <= most, `lent: ${borrowing} borrow and ${open} more may, of ${most} cores not in use`);
  }

  /** The lease of a core goes back although there is a borrower without another one: somebody new would come in front of it. */
  checkReleased(core: number, residents: readonly Resident[]): void {
    const { spec, isOut } = this.#setting;
    if (spec.policy !== 'lend' || isOut(core)) return;
    const { borrowing, asleep, kept, spare } = this.#account(residents);
    const most = asleep + kept + spare;
    assert(borrowing <= most, `core ${core} is released, and ${borrowing} borrow ${most} cores not in use`);
  }

  /** Where it does not matter who sleeps, there are as many beside the cores as are admitted, spare ones and theirs excepted. */
  #checkAdmitted({ openFree, free, extra, spare, shared }: Account, stayingCount: number): void {
    const { spec, seatCount } = this.#setting;
    const { policy, perCore, coreCount } = spec;
    const most = seatCount - coreCount - spareSeatCountOf(spec, coreCount);
    const admitted = policy === 'preempt' && shared > 0 ? most : Math.min(most, (perCore - 1) * shared);
    const wanted = Math.max(0, Math.min(admitted + spare - extra, free));
    const said = `${policy}: ${extra} are beside the cores, of ${admitted} and ${spare}, and ${openFree} more may`;
    assert(openFree >= wanted && openFree <= wanted + stayingCount, said);
  }

  #account(residents: readonly Resident[]): Account {
    const { spec, sharing, seatCount, isOut } = this.#setting;
    const account = { openFree: 0, free: 0, extra: 0, borrowing: 0, asleep: 0, kept: 0, spare: 0, shared: 0 };
    const isAlone = new Array<boolean>(spec.coreCount).fill(false);
    for (const resident of residents) {
      if (sharing.isHeld(resident.seat) && isAloneOn(resident, spec))
        for (const core of resident.seats) isAlone[core] = true;
      else this.#count(account, resident);
    }
    for (let core = 0; core < spec.coreCount; core++) if (isAlone[core] !== true && !isOut(core)) account.shared++;
    for (let seat = spec.coreCount; seat < seatCount; seat++) {
      if (sharing.isHeld(seat)) continue;
      account.free++;
      if (sharing.isOpen(seat)) account.openFree++;
    }
    return account;
  }

  #count(account: Account, resident: Resident): void {
    const { spec, sharing, isOut } = this.#setting;
    const { seat } = resident;
    if (sharing.isKept(seat)) {
      assert(!isOut(seat), `core ${seat} is withdrawn, and its lease is kept`);
      account.kept++;
    } else if (!sharing.isHeld(seat)) {
      return; // It is over, and about to be released.
    } else if (seat >= spec.coreCount) {
      if (isSpare(resident, spec)) return;
      account.extra++;
      if (!sharing.isAsleep(seat)) account.borrowing++;
    } else if (!isOut(seat)) {
      if (isSpare(resident, spec)) account.spare++;
      else if (sharing.isAsleep(seat)) account.asleep++;
    }
  }
}

function isSpare({ sharing, seats }: Resident, { policy }: WorkerSpec): boolean {
  return policy !== 'fair' && sharing === 'spare' && seats.length === 1;
}

function isAloneOn({ seat, seats, sharing }: Resident, { policy, coreCount }: WorkerSpec): boolean {
  return policy !== 'fair' && seat < coreCount && (seats.length > 1 || sharing === 'dedicated');
}
