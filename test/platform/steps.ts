/** What may happen to the small platform: deeds of clients, instances, cells and operators, chosen by two small numbers. */
import fc from 'fast-check';
import { FrameKind } from '../../src/wire/instance-frame.ts';
import type { CellPlay, Play } from './plays.ts';
import type { SmallPlatform } from './small-platform.ts';

/** Three small ones fit at once, or a small and a large one; `huge` fits where there is memory for zygotes. */
export const MEMORY_OF: Readonly<Record<string, number>> = { a: 128, b: 128, fresh: 64, large: 256, huge: 512 };
export const NAMES = Object.keys(MEMORY_OF);

export interface Step {
  readonly kind: string;
  readonly a: number;
  readonly b: number;
  /** Does everything under way arrive before the next step? */
  readonly settled: boolean;
}

export type Steps = Readonly<Record<string, (platform: SmallPlatform, step: Step) => void>>;

export const STEPS: Steps = {
  invoke: (platform, { a }) => void platform.invoke(NAMES[a % NAMES.length]!),
  chain: (platform, { a, b }) => platform.invokeChain([a, b, a + b, b + 1].map((each) => NAMES[each % NAMES.length]!)),
  withdraw: (platform, { a }) => {
    const ask = platform.asks.at(-1 - (a % 6));
    if (ask === undefined) return;
    ask.withdrawn = true;
    ask.withdraw();
  },
  boot: (platform, { a }) => pick(platform, a, (play) => !play.ready)?.boot(),
  answer: (platform, { a }) => pick(platform, a, isRunning)?.answer(),
  fail: (platform, { a, b }) => pick(platform, a, isRunning)?.answer(FrameKind.error, b % 2 === 0),
  badPayload: (platform, { a }) => pick(platform, a, isRunning)?.answer(FrameKind.badPayload),
  initError: (platform, { a }) => pick(platform, a, (play) => !play.ready)?.send(FrameKind.initError, 0, '{}', true),
  answerTwice: (platform, { a }) => {
    const play = pick(platform, a, isRunning);
    const running = play?.running ?? null;
    play?.answer();
    if (running !== null) play?.send(FrameKind.response, running.sequence, 'again');
  },
  forge: (platform, { a, b }) => pick(platform, a)?.send(FrameKind.response, 10_000 + b, 'forged'),
  readyAgain: (platform, { a }) => pick(platform, a)?.boot(),
  garbage: (platform, { a }) => pick(platform, a)?.instance.answers.write(Buffer.alloc(64, 7)),
  logs: (platform, { a, b }) => {
    const play = pick(platform, a);
    for (let line = 0; line < b; line++) play?.send(FrameKind.log, 0, 'x'.repeat(900));
  },
  exit: (platform, { a, b }) => pick(platform, a)?.instance.exit({ kind: 'exit', code: b % 3 }),
  answerAndExit: (platform, { a }) => {
    const play = pick(platform, a, isRunning);
    play?.answer();
    play?.instance.exit({ kind: 'exit', code: 0 });
  },
  oom: (platform, { a }) => pick(platform, a)?.instance.exit({ kind: 'oom' }),
  notStarted: (platform, { a }) =>
    pick(platform, a, (play) => !play.ready)?.instance.exit({ kind: 'start-failed', message: 'simulated' }),
  time: (platform, { b }) => platform.clock.advanceUs(b * 500_000),
  update: (platform, { a }) => {
    const name = NAMES[a % NAMES.length]!;
    put(platform, name);
  },
  delete: (platform, { a }) => platform.store.delete(NAMES[a % NAMES.length]!),
  /** It was looked up, and then its function was deleted, before its body had arrived. */
  invokeDeleted: (platform, { a }) => {
    const name = NAMES[a % NAMES.length]!;
    const fn = platform.store.getVersion(name);
    platform.store.delete(name);
    if (fn !== null) platform.invokeVersion(fn);
  },
  concurrency: (platform, { a, b }) => platform.store.setConcurrency(NAMES[a % NAMES.length]!, b < 3 ? b : null),
  provision: (platform, { a, b }) => platform.store.provision(NAMES[a % NAMES.length]!, b % 3),
  codeIsLate: (platform, { b }) => void (platform.codes.late = b % 2 === 0),
  codeArrives: (platform, { a }) => platform.codes.arrive(a),
  codeIsMissing: (platform, { a }) => platform.codes.miss(a),
  cellBoots: (platform, { a }) => pickCell(platform, a, (cell) => !cell.booted)?.boot(),
  cellInitialises: (platform, { a }) => initialises(platform, a)?.initialise(),
  cellFails: (platform, { a, b }) => {
    const cell = initialises(platform, a);
    cell?.initialise({ kind: 'init-error', payload: Buffer.from('{}') });
    if (b % 2 === 0) cell?.cell.exit({ kind: 'exit', code: 1 });
  },
  cellIsUncopyable: (platform, { a }) =>
    initialises(platform, a)?.initialise({ kind: 'uncopyable', reasons: ['a timer', 'a socket'] }),
  cellSaysAgain: (platform, { a, b }) => {
    const kinds = ['cell', 'initialised'] as const;
    pickCell(platform, a, (cell) => cell.cell.adopted !== null)?.cell.report({ kind: kinds[b % 2]! });
  },
  cellLogs: (platform, { a, b }) => {
    const cell = pickCell(platform, a);
    for (let line = 0; line < b; line++) cell?.cell.report({ kind: 'log', text: 'x'.repeat(900), bytes: 900 });
    if (cell?.ended === false) cell.cell.stdout.write('printed');
  },
  cellBreaks: (platform, { a }) => pickCell(platform, a)?.cell.report({ kind: 'breach', message: 'simulated' }),
  cellExits: (platform, { a, b }) => pickCell(platform, a)?.cell.exit({ kind: 'exit', code: b % 3 }),
  cellIsKilled: (platform, { a }) => pickCell(platform, a)?.cell.exit({ kind: 'oom' }),
  cellDoesNotStart: (platform, { a }) =>
    pickCell(platform, a, (cell) => !cell.booted)?.cell.exit({ kind: 'start-failed', message: 'simulated' }),
};

export function put(platform: SmallPlatform, name: string): void {
  platform.store.put(name, MEMORY_OF[name]!, name === 'fresh' ? 'fresh' : 'reuse');
}

export function isRunning(play: Play): boolean {
  return play.running !== null;
}

export function pick(
  platform: SmallPlatform,
  index: number,
  which: (play: Play) => boolean = () => true,
): Play | undefined {
  const found = platform.plays.filter((play) => !play.ended && which(play));
  return found[index % Math.max(1, found.length)];
}

export function pickCell(
  platform: SmallPlatform,
  index: number,
  which: (cell: CellPlay) => boolean = () => true,
): CellPlay | undefined {
  const found = platform.cells.filter((cell) => !cell.ended && which(cell));
  return found[index % Math.max(1, found.length)];
}

function initialises(platform: SmallPlatform, index: number): CellPlay | undefined {
  return pickCell(platform, index, (cell) => cell.initialises);
}

/** Beside one of each of the others. */
export const OFTEN: Readonly<Record<string, number>> = {
  invoke: 36,
  chain: 6,
  boot: 24,
  answer: 30,
  time: 4,
  update: 3,
  cellBoots: 16,
  cellInitialises: 16,
  codeArrives: 6,
};
/** `steps`: by name; those in `often` come so many times as often as the others. */
export function anyStep(steps: Steps, often: Readonly<Record<string, number>>): fc.Arbitrary<Step> {
  return fc.record({
    kind: fc.constantFrom(...Object.keys(steps).flatMap((kind) => new Array<string>(often[kind] ?? 1).fill(kind))),
    a: fc.nat(11),
    b: fc.nat(11),
    settled: fc.boolean(),
  });
}
