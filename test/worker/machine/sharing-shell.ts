/**
 * A shell for the sharing machine: it carries actions out as an agent would, and checks against what it sees itself, not
 * against what the machine says of itself.
 */
import assert from 'node:assert/strict';
import {
  Level,
  type ResidentSharing,
  Sharing,
  type SharingLimits,
  type SharingPolicy,
} from '../../../src/worker/machine/sharing.ts';

const ALL_CORES = -1;

export interface Resident {
  core: number;
  level: Level;
  isAsleep: boolean;
  yields: boolean;
  readonly isDedicated: boolean;
  /** And the policy has an order. */
  readonly isSpare: boolean;
  readonly cores: readonly number[];
  readonly cameAt: number;
  cpuUs: number;
  waitedUs: number;
}

export const LIMITS: SharingLimits = {
  coreCount: 2,
  extraSeatCount: 3,
  policy: 'lend',
  perCore: 3,
  lendAfterUs: 1000,
  quantumUs: 2000,
};

export function limitsOf(policy: SharingPolicy, more: Partial<SharingLimits> = {}): SharingLimits {
  return { ...LIMITS, policy, ...more };
}

export class SharingShell {
  readonly machine: Sharing;
  readonly limits: SharingLimits;
  readonly residents = new Map<number, Resident>();
  /** Extra seats that the scheduler may grant. */
  readonly open = new Set<number>();
  /** Seats whose lease is held: from `began` to the release. */
  readonly leased = new Set<number>();
  readonly out = new Set<number>();
  nowUs = 0;
  beganCount = 0;
  releaseCount = 0;
  /** All actions as text, since the start; and those of the last event. */
  readonly log: string[] = [];
  last: string[] = [];

  constructor(limits: SharingLimits) {
    this.limits = limits;
    this.machine = new Sharing(limits);
    this.#after();
  }

  get seatCount(): number {
    return this.limits.coreCount + this.limits.extraSeatCount;
  }

  isOwn(seat: number): boolean {
    return seat < this.limits.coreCount;
  }

  began(seat: number, sharing: ResidentSharing = 'shared', usedUs = 0): void {
    assert.ok(!this.leased.has(seat));
    const isAlone = sharing === 'dedicated' && this.isOwn(seat);
    this.#add(seat, this.isOwn(seat) ? [seat] : [], isAlone, sharing === 'spare');
    this.machine.began(seat, this.nowUs, sharing, usedUs);
    this.#after();
  }

  beganSeveral(cores: readonly number[]): void {
    const lead = Math.min(...cores);
    this.#add(lead, cores, true);
    this.machine.beganSeveral(
      lead,
      cores.reduce((mask, core) => mask | (1 << core), 0),
      this.nowUs,
    );
    this.#after();
  }

  slept(seat: number, yields = false): void {
    const resident = this.residents.get(seat);
    if (resident) Object.assign(resident, { isAsleep: true, yields });
    this.machine.slept(seat, this.nowUs, yields);
    this.#after();
  }

  woke(seat: number): void {
    const resident = this.residents.get(seat);
    if (resident) Object.assign(resident, { isAsleep: false, yields: false });
    this.machine.woke(seat, this.nowUs);
    this.#after();
  }

  used(seat: number, moreUs: number): void {
    const resident = this.residents.get(seat)!;
    resident.cpuUs += moreUs;
    this.machine.used(seat, resident.cpuUs, this.nowUs);
    this.#after();
  }

  ended(seat: number, isFollowed = false): void {
    this.residents.delete(seat);
    this.machine.ended(seat, this.nowUs, isFollowed);
    this.#after();
  }

  setOut(core: number, isOut: boolean): void {
    if (isOut) this.out.add(core);
    else this.out.delete(core);
    this.machine.setOut(core, isOut, this.nowUs);
    this.#after();
  }

  wait(us: number): void {
    for (const [seat, one] of this.residents) {
      if (!one.isAsleep && one.core !== ALL_CORES && this.machine.frontOf(one.core) !== seat) one.waitedUs += us;
    }
    this.nowUs += us;
    this.tick();
  }

  tick(): void {
    const nextUs = this.machine.tick(this.nowUs);
    assert.ok(nextUs > this.nowUs, 'it wants a tick that it has just had');
    this.#after();
  }

  // --- what the shell sees ------------------------------------------------------------------------------------

  /** Cores that are not one resident's alone. */
  get untaken(): number[] {
    const taken = new Set(
      [...this.residents.values()].filter((each) => each.isDedicated).flatMap((each) => each.cores),
    );
    return this.#cores.filter((core) => !taken.has(core));
  }

  /** Of those, the ones that are in; all, where none is. */
  get shared(): number[] {
    const inside = this.untaken.filter((core) => !this.out.has(core));
    return inside.length > 0 ? inside : this.untaken;
  }

  awakeOn(core: number): number[] {
    return this.seatsWhere((each) => each.core === core && !each.isAsleep);
  }

  seatsWhere(condition: (resident: Resident) => boolean): number[] {
    return [...this.residents].filter(([, each]) => condition(each)).map(([seat]) => seat);
  }

  /** What of the residents one sees at a glance: `0:0f 2:0b` is seat 0 on core 0 in the foreground; asleep is in brackets. */
  get picture(): string {
    return [...this.residents]
      .toSorted(([a], [b]) => a - b)
      .map(([seat, { core, level, isAsleep }]) => {
        const text = `${seat}:${core < 0 ? '*' : core}${level === Level.foreground ? 'f' : 'b'}`;
        return isAsleep ? `(${text})` : text;
      })
      .join(' ');
  }

  get #cores(): number[] {
    return Array.from({ length: this.limits.coreCount }, (_, core) => core);
  }

  #add(seat: number, cores: readonly number[], isDedicated: boolean, isSpare = false): void {
    const { policy } = this.limits;
    for (const each of cores.length > 0 ? cores : [seat]) this.leased.add(each);
    // What the machine says a shell may assume.
    this.residents.set(seat, {
      core: this.isOwn(seat) ? seat : Number.NaN,
      level: Level.foreground,
      isAsleep: false,
      yields: false,
      isDedicated,
      isSpare: isSpare && policy !== 'fair' && policy !== 'dedicated',
      cores,
      cameAt: this.beganCount++,
      cpuUs: 0,
      waitedUs: 0,
    });
    this.#leaseCores.set(seat, cores.length > 0 ? cores : [seat]);
  }

  readonly #leaseCores = new Map<number, readonly number[]>();

  #after(): void {
    this.last = [];
    this.machine.actions.drain({
      place: (seat, core, level) => {
        this.last.push(`place ${seat} ${core} ${level === Level.foreground ? 'foreground' : 'background'}`);
        const resident = this.residents.get(seat);
        assert.ok(resident, `seat ${seat} is placed and has nobody`);
        assert.ok(resident.core !== core || resident.level !== level || !this.isOwn(seat), 'placed where it was');
        Object.assign(resident, { core, level });
      },
      openSeat: (seat) => {
        this.last.push(`open ${seat}`);
        assert.ok(!this.isOwn(seat) && !this.open.has(seat), `seat ${seat} is opened`);
        this.open.add(seat);
      },
      closeSeat: (seat) => {
        this.last.push(`close ${seat}`);
        assert.ok(this.open.delete(seat), `seat ${seat} is closed`);
      },
      release: (seat) => {
        this.last.push(`release ${seat}`);
        assert.ok(!this.residents.has(seat), `seat ${seat} is released under its resident`);
        const cores = this.#leaseCores.get(seat);
        assert.ok(cores, `seat ${seat} is released twice`);
        this.#leaseCores.delete(seat);
        for (const core of cores) assert.ok(this.leased.delete(core));
        this.releaseCount++;
      },
    });
    this.log.push(...this.last);
    this.machine.checkInvariants();
    for (const [seat, each] of this.residents) {
      assert.ok(!Number.isNaN(each.core), `seat ${seat} was never placed`);
      assert.deepEqual(
        [this.machine.coreOf(seat), this.machine.levelOf(seat), this.machine.isAsleep(seat)],
        [each.core, each.level, each.isAsleep],
      );
      assert.equal(this.machine.waitedUs(seat, this.nowUs), each.waitedUs, `seat ${seat} has waited`);
    }
    for (let seat = this.limits.coreCount; seat < this.seatCount; seat++) {
      assert.equal(this.machine.isOpen(seat), this.open.has(seat));
    }
  }
}
