/**
 * What an invocation costs: a warm no-op function over HTTP on Perch (sandboxed, pinned, logged, metered), beside a
 * bare node:http server and beside workerd with the same function. wrk loads one after the other, in turns.
 */
import { type BenchOptions, compare, type Figure, figureOf, type Report } from './lib/report.ts';
import { bareServer, perchServer, type Server, workerdServer } from './lib/servers.ts';
import { wrk, type WrkResult } from './lib/wrk.ts';

const CONNECTIONS = [1, 32] as const;
const NAMES = ['node:http', 'workerd', 'perch'] as const;
type Name = (typeof NAMES)[number];

async function run({ smoke }: BenchOptions): Promise<Report> {
  const rounds = smoke ? 1 : 7;
  const seconds = smoke ? 1 : 3;
  const perch = await perchServer();
  const servers: Record<Name, Server> = {
    'node:http': await bareServer(),
    workerd: await workerdServer(),
    perch: { ...perch, url: await perch.deploy('noop', 'export const handler = async () => ({ ok: true })') },
  };
  const results = new Map<string, WrkResult[]>();
  try {
    for (const name of NAMES) await wrk(servers[name].url, { connections: 32, seconds: smoke ? 1 : 2, body: '{}' });
    for (let round = 0; round < rounds; round++) {
      for (const connections of CONNECTIONS) {
        for (const name of NAMES) {
          const key = `${name} ${connections}`;
          const result = await wrk(servers[name].url, { connections, seconds, body: '{}' });
          results.set(key, [...(results.get(key) ?? []), result]);
        }
      }
    }
  } finally {
    for (const server of Object.values(servers)) await server.stop();
  }
  return {
    name: 'invoke',
    notes: notes(rounds, seconds),
    figures: CONNECTIONS.flatMap((count) => figures(results, count)),
  };
}

function notes(rounds: number, seconds: number): string[] {
  return [
    'A warm no-op function, POST of {} over HTTP keep-alive; wrk with one thread, on the same CPUs as what it loads.',
    `${rounds} rounds in turns, ${seconds} s each, after a warm-up; medians.`,
  ];
}

function figures(results: ReadonlyMap<string, readonly WrkResult[]>, connections: number): Figure[] {
  const of = (name: Name, what: string, unit: string, value: (result: WrkResult) => number): Figure => {
    const values = (results.get(`${name} ${connections}`) ?? []).map(value);
    return figureOf(`${name}, ${what} at ${connections}`, unit, values);
  };
  const rows: Figure[] = [];
  const measures: [string, string, (result: WrkResult) => number][] = [
    ['rate', 'requests/s', (result) => result.requestsPerSecond],
    ['p50', 'µs', (result) => result.p50Us],
    ['p99', 'µs', (result) => result.p99Us],
  ];
  for (const [what, unit, value] of measures) {
    const bare = of('node:http', what, unit, value);
    const workerd = of('workerd', what, unit, value);
    const perch = of('perch', what, unit, value);
    rows.push(bare, compare(workerd, bare), compare(perch, bare), compare(perch, workerd));
  }
  return rows;
}

export default { summary: 'a warm no-op over HTTP, beside node:http and workerd', run };
