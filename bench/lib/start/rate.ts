/**
 * How many no-ops a second one core serves when each request follows the last answer, and what CPU time they cost. The
 * difference between fresh and reuse is what a copy costs, whole: fork, namespaces, rehearsal, page faults, exit, and the
 * platform's own part in it.
 */
import { compare, type BenchOptions, type Figure } from '../report.ts';
import { readTopology } from '../../../src/worker/agent/topology.ts';
import { wrk } from '../wrk.ts';
import { inTurns, rounds, Samples } from './figures.ts';
import { type Language, NODE } from './languages.ts';
import { BenchPlatform } from './platform.ts';

const ISOLATIONS = ['reuse', 'fresh'] as const;
const CONNECTIONS = [1, 2] as const;

interface Setting {
  readonly name: string;
  readonly args: readonly string[];
  readonly prefix: readonly string[];
}

interface Samplers {
  readonly rate: Samples;
  readonly us: Samples;
}

export async function sustainedRate(language: Language, options: BenchOptions): Promise<readonly Figure[]> {
  const { cpu, other } = twoCpus();
  const settings: Setting[] = [
    { name: 'all on one core', args: ['--cores', String(cpu)], prefix: ['taskset', '-c', String(cpu)] },
    { name: 'functions on one core', args: ['--cores', String(cpu)], prefix: [] },
  ];
  const figures: Figure[] = [];
  // In small, what one language runs under both another one need not.
  const chosen = options.smoke && language !== NODE ? settings.slice(0, 1) : settings;
  for (const setting of chosen) {
    const samplers = { rate: new Samples('/s'), us: new Samples('µs') };
    await measure(language, setting, { other, options, samplers });
    figures.push(...figuresOf(`${language.name}, ${setting.name}`, samplers));
  }
  return figures;
}

function twoCpus(): { cpu: number; other: number } {
  const topology = readTopology(null);
  const cores = topology instanceof Error ? [] : topology.cores;
  if (cores.length < 2) throw new Error('two cores are needed: one for the platform, one for the load generator');
  return { cpu: cores[1]![0]!, other: cores[0]![0]! };
}

async function measure(
  language: Language,
  setting: Setting,
  more: { other: number; options: BenchOptions; samplers: Samplers },
): Promise<void> {
  const { smoke } = more.options;
  const platform = await BenchPlatform.start(setting.args, setting.prefix);
  try {
    const urls: Record<string, string> = {};
    for (const isolation of ISOLATIONS) {
      urls[isolation] = await platform.create({ name: isolation, language, source: language.hello, isolation });
      if (smoke) await platform.client.post(urls[isolation]);
      else await wrk(urls[isolation], { connections: 1, seconds: 1, body: '{}', cpu: more.other });
    }
    const runs = rounds(3, smoke).flatMap((round) =>
      (smoke ? ([1] as const) : CONNECTIONS).flatMap((connections) =>
        inTurns(ISOLATIONS, round).map((isolation) => ({ isolation, connections })),
      ),
    );
    for (const { isolation, connections } of runs) {
      const name = `${language.name}, ${setting.name}, ${isolation}`;
      const before = await counts(platform);
      const load = { connections, seconds: smoke ? 1 : 2, body: '{}', cpu: more.other };
      const { requestsPerSecond } = await wrk(urls[isolation]!, load);
      const spent = since(before, await counts(platform));
      more.samplers.rate.add(`${name}, rate at ${connections}`, requestsPerSecond);
      more.samplers.us.add(`${name}, CPU time each at ${connections}`, spent.cpuUs / spent.invoked);
      if (isolation === 'reuse') continue;
      more.samplers.us.add(`${name}, fork to ready at ${connections}, mean`, spent.copyUs / spent.copied);
      more.samplers.us.add(`${name}, answer to reaped at ${connections}, mean`, spent.exitUs / spent.exited);
    }
  } finally {
    await platform.stop();
  }
}

interface Counts {
  readonly cpuUs: number;
  readonly invoked: number;
  readonly copied: number;
  readonly copyUs: number;
  readonly exited: number;
  readonly exitUs: number;
}

async function counts(platform: BenchPlatform): Promise<Counts> {
  return {
    cpuUs: platform.cpuUs(),
    invoked: await platform.metric('perch_invocations_total'),
    copied: await platform.metric('perch_copy_seconds_count'),
    copyUs: 1e6 * (await platform.metric('perch_copy_seconds_sum')),
    exited: await platform.metric('perch_exit_seconds_count'),
    exitUs: 1e6 * (await platform.metric('perch_exit_seconds_sum')),
  };
}

function since(before: Counts, after: Counts): Counts {
  const entries = Object.entries(after).map(([name, value]) => [name, value - before[name as keyof Counts]]);
  return Object.fromEntries(entries) as Counts;
}

function figuresOf(prefix: string, { rate, us }: Samplers): Figure[] {
  const figures: Figure[] = [];
  for (const connections of CONNECTIONS) {
    const of = (isolation: string, what: string): string => `${prefix}, ${isolation}, ${what} at ${connections}`;
    if (!rate.names.includes(of('fresh', 'rate'))) continue;
    figures.push(rate.figure(of('reuse', 'rate')), rate.beside(of('fresh', 'rate'), of('reuse', 'rate')));
    const [reuse, fresh] = us.known(of('reuse', 'CPU time each'), of('fresh', 'CPU time each'));
    if (reuse !== undefined && fresh !== undefined) {
      const value = fresh.value - reuse.value;
      figures.push(reuse, compare(fresh, reuse), {
        name: `${prefix}, CPU time of a copy at ${connections}: fresh − reuse`,
        unit: 'µs',
        value,
      });
    }
    figures.push(
      us.figure(`${of('fresh', 'fork to ready')}, mean`),
      us.figure(`${of('fresh', 'answer to reaped')}, mean`),
    );
  }
  return figures;
}
