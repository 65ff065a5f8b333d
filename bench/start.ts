/**
 * What it costs to start from a clean copy: each part is one row, or one group of rows, of what clean copies have to
 * show. Rivals take turns within a part, so that whatever else the machine does falls on all of them.
 */
import { CPU_NOTES } from './lib/cpu-time.ts';
import { atMost, type BenchOptions, type Figure, type Part, type Report } from './lib/report.ts';
import { lifeOfACopy } from './lib/start/copy.ts';
import { elasticity } from './lib/start/elastic.ts';
import { firstInvocation } from './lib/start/first.ts';
import { freshBesideReuse } from './lib/start/fresh-reuse.ts';
import { NODE, PYTHON } from './lib/start/languages.ts';
import { manyFunctions } from './lib/start/many.ts';
import { memoryOfCopies } from './lib/start/memory.ts';
import { sustainedRate } from './lib/start/rate.ts';
import { throughputOfWork } from './lib/start/work.ts';
import { benchWasm } from './lib/wasm.ts';

const WASM_MAX_US = 200;

const PARTS: readonly Part[] = [
  {
    name: 'fresh-reuse',
    notes: ['fresh-reuse: a warm no-op over HTTP, open loop at 50/s, latency from the moment each was due.'],
    run: (options) => freshBesideReuse(NODE, options),
  },
  {
    name: 'rate',
    notes: [
      'rate: no-ops one after the other on one connection and on two, wrk on another CPU; "all on one core": gateway and',
      "scheduler too. Means of fork to ready and answer to reaped are the platform's own metrics under this load.",
    ],
    run: (options) => sustainedRate(NODE, options),
  },
  {
    name: 'copy',
    notes: [
      'copy: one zygote in its sandbox, driven as the agent does but alone; one copy after the other, exact samples.',
    ],
    run: (options) => lifeOfACopy(NODE, options),
  },
  {
    name: 'work',
    notes: [
      'work: as many connections as cores; what is 100 ms in a process that has warmed up, in calls of a part of it, and in one loop;',
      'practised: a small part of it runs when the module is loaded, so that its code is compiled before the first fork.',
    ],
    run: throughputOfWork,
  },
  {
    name: 'first',
    notes: [
      'first: a new function with code of its own each time, in the store, a cell waiting; from request to response over',
      'HTTP. Beside it a new process that loads the same module and prints one line. CPU time includes the next cell.',
    ],
    run: (options) => firstInvocation(NODE, options),
  },
  {
    name: 'many',
    notes: [
      'many: 200 new functions of 1 KB invoked at once, all in the store; beside it 200 processes started at once by one',
      'parent, from the first start until each has printed its line.',
    ],
    run: (options) => manyFunctions(NODE, options),
  },
  {
    name: 'elastic',
    notes: [
      'elastic: 1,000 requests of one function that nobody has run, over HTTP at once, a cell waiting; piscina behind',
      'node:http with as many threads as cores, a new pool each round, nothing isolated from anything.',
    ],
    run: elasticity,
  },
  {
    name: 'memory',
    notes: [
      'memory: proportional set size of a zygote and its copies, with 20 provisioned less that with one, over 19.',
    ],
    run: (options) => memoryOfCopies(NODE, options),
  },
  {
    name: 'python',
    notes: ['python: fresh-reuse, rate, copy, first and memory in Python.'],
    run: async (options) => [
      ...(await freshBesideReuse(PYTHON, options)),
      ...(await sustainedRate(PYTHON, options)),
      ...(await lifeOfACopy(PYTHON, options)),
      ...(await firstInvocation(PYTHON, options)),
      ...(await memoryOfCopies(PYTHON, options)),
    ],
  },
  {
    name: 'wasm',
    notes: ['wasm: a module of 1 MB in its runtime, without the platform around it.'],
    // An instance for each invocation: made and run.
    run: async (options) =>
      (await benchWasm(options)).map((figure) =>
        figure.name === 'wasm: make and run it, p50' ? atMost(figure, WASM_MAX_US) : figure,
      ),
  },
];

async function run(options: BenchOptions): Promise<Report> {
  const parts = PARTS.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  const figures: Figure[] = [];
  for (const part of parts) figures.push(...(await part.run(options)));
  const notes = [
    ...CPU_NOTES,
    'Medians of rounds in which the rivals take turns.',
    ...parts.flatMap(({ notes }) => notes),
  ];
  return { name: 'start', notes, figures };
}

export default {
  summary: 'first invocations and clean copies, beside reuse, processes and threads',
  parts: PARTS.map(({ name }) => name),
  run,
};
