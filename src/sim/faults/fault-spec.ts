/** What may go wrong in a simulated cluster, as people write it: `KIND:option=value,option=value` (docs/SIMULATOR.md, Faults). Plain data. */
import type { OptionSpec, OptionSpecs, OptionValues } from '../policy.ts';
import { SpecError } from '../spec-error.ts';
import { parseSpec, valuesOf } from '../spec-text.ts';

export type FaultName = 'crash' | 'partition' | 'slow' | 'lose';

/** Which servers: those that are named, or so many of all, drawn from the seed; with neither all where `isAll`, else one that is drawn. */
export interface ChosenServers {
  readonly named: readonly number[];
  readonly count: number;
  readonly share: number;
  readonly isAll: boolean;
}

export interface Fault {
  readonly name: FaultName;
  /** The scheduler, and no server. */
  readonly isScheduler: boolean;
  readonly servers: ChosenServers;
  /** From the end of the warm-up. */
  readonly atUs: number;
  readonly forUs: number;
  /** Mean time from one to the next, of each of its servers; 0: it happens once, at its time. */
  readonly everyUs: number;
  /** Of slow servers. */
  readonly factor: number;
  /** Of lost frames: which part of all, and how long it takes until one is sent again. */
  readonly lostShare: number;
  readonly resendUs: number;
}

/** All that goes wrong in a simulation, and what is done about it. */
export interface FaultSetup {
  readonly faults: readonly Fault[];
  /** How often an invocation that was lost is run again. */
  readonly retryMax: number;
  /** After so long a silence a server is taken to be gone; null: as the policy has it. */
  readonly silenceUs: number | null;
}

export interface FaultKind {
  readonly name: FaultName;
  readonly summary: string;
  readonly options: OptionSpecs;
}

const SECONDS_MAX = 1e9;
const SCHEDULER = 'scheduler';

const SERVER: OptionSpec = { help: 'which: its number, several as 3+7, a range as 0-9', default: '' };
const SERVERS: OptionSpec = { help: 'how many, drawn from the seed: a number, or a share as 10%', default: '' };
const AT: OptionSpec = { help: 'when, s after the warm-up', default: 0, min: 0, max: SECONDS_MAX };
const EVERY: OptionSpec = {
  help: 'mean time between two of each server, s, at random from then on; 0: once',
  default: 0,
  min: 0,
  max: SECONDS_MAX,
};

function lasting(seconds: number): OptionSpec {
  return { help: 'for how long, s', default: seconds, min: 0, max: SECONDS_MAX };
}

export const FAULT_KINDS: readonly FaultKind[] = [
  {
    name: 'crash',
    summary: 'a server dies with all that runs there, and comes back empty; server=scheduler: the central scheduler',
    options: { server: SERVER, servers: SERVERS, at: AT, for: lasting(5), mtbf: EVERY },
  },
  {
    name: 'partition',
    summary: 'nothing from or to a server arrives; it goes on with what it has',
    options: { server: SERVER, servers: SERVERS, at: AT, for: lasting(1), mtbf: EVERY },
  },
  {
    name: 'slow',
    summary: 'all that runs on a server takes longer',
    options: {
      server: SERVER,
      servers: SERVERS,
      at: AT,
      for: lasting(SECONDS_MAX),
      mtbf: EVERY,
      factor: { help: 'so many times as long', default: 2, min: 1, max: 1e6 },
    },
  },
  {
    name: 'lose',
    summary: 'frames between hosts are lost, and sent again; those behind them wait',
    options: {
      server: SERVER,
      servers: SERVERS,
      at: AT,
      for: lasting(SECONDS_MAX),
      p: { help: 'which part of all frames', default: 0.001, min: 0, max: 0.9 },
      rto: { help: 'until a lost frame has been sent again, ms', default: 200, min: 0, max: 1e6 },
    },
  },
];

export function parseFault(text: string): Fault {
  const { name, given } = parseSpec(text);
  const kind = FAULT_KINDS.find((each) => each.name === name);
  if (kind === undefined) {
    throw new SpecError(`no fault ${name}: there are ${FAULT_KINDS.map((each) => each.name).join(', ')}`);
  }
  const values = valuesOf(`fault ${name}`, kind.options, given);
  const isScheduler = values['server'] === SCHEDULER;
  if (isScheduler && (kind.name !== 'crash' || secondsOf(values, 'mtbf') > 0)) {
    throw new SpecError(`'${text}': of the scheduler there are crashes at a time, and nothing else`);
  }
  return {
    name: kind.name,
    isScheduler,
    servers: isScheduler ? NOBODY : chosenIn(text, kind.name, values),
    atUs: secondsOf(values, 'at') * 1e6,
    forUs: secondsOf(values, 'for') * 1e6,
    everyUs: secondsOf(values, 'mtbf') * 1e6,
    factor: secondsOf(values, 'factor'),
    lostShare: secondsOf(values, 'p'),
    resendUs: secondsOf(values, 'rto') * 1e3,
  };
}

/** Whether the cluster has the servers that are named. */
export function checkFault({ servers: { named, count } }: Fault, serverCount: number): void {
  const wrong = [...named, count - 1].find((each) => each >= serverCount);
  if (wrong === undefined) return;
  throw new SpecError(`a fault of server ${wrong}: there are ${serverCount}, and the first is 0`);
}

const NOBODY: ChosenServers = { named: [], count: 0, share: 0, isAll: false };

function secondsOf(values: OptionValues, key: string): number {
  return (values[key] as number | undefined) ?? 0;
}

function chosenIn(text: string, name: FaultName, values: OptionValues): ChosenServers {
  const server = values['server'] as string;
  const servers = values['servers'] as string;
  if (server !== '' && servers !== '') throw new SpecError(`'${text}' names servers, and has some drawn`);
  const drawn = /^(\d+)$|^(\d+(?:\.\d+)?)%$/.exec(servers);
  if (servers !== '' && drawn === null) throw new SpecError(`'${text}': servers is a number, or a share as 10%`);
  return {
    named: server === '' ? [] : server.split('+').flatMap((part) => rangeIn(text, part)),
    count: Number(drawn?.[1] ?? 0),
    share: Number(drawn?.[2] ?? 0) / 100,
    isAll: name === 'lose' || secondsOf(values, 'mtbf') > 0,
  };
}

function rangeIn(text: string, part: string): readonly number[] {
  const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
  const count = Number(to) - Number(from) + 1;
  if (from === undefined || count < 1 || count > SECONDS_MAX) {
    throw new SpecError(`'${text}': a server is a number from 0 on, or a range as 0-9`);
  }
  return Array.from({ length: count }, (_, index) => Number(from) + index);
}
