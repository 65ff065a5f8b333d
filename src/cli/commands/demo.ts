/** Shows the whole on this machine: a platform of its own, the examples deployed, invoked, and everything removed. */
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { Client, refusal } from '../client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { invokePath } from '../lambda-api.ts';
import { listCores } from '../perch-api.ts';
import { startPlatform } from '../platform-process.ts';
import { Progress, formatTable, formatUs, printJson, printLine, printNote } from '../terminal.ts';

interface DemoOptions {
  readonly sandbox?: string;
  readonly cores?: string;
  readonly json?: boolean;
}

interface Shown {
  readonly functionName: string;
  readonly core: number;
  readonly start: string;
  /** The shard in whose queue it waited; '-' if a core was free. */
  readonly queuedAt: string;
  readonly queuedUs: number;
  readonly startUs: number;
  readonly runUs: number;
  readonly totalUs: number;
}

const EXAMPLES = new URL('../../../examples/perch.json', import.meta.url);

const PAYLOADS: Readonly<Record<string, unknown>> = {
  hello: { name: 'Perch' },
  'word-count': { text: 'To be, or not to be, that is the question' },
  greet: { name: 'Ada' },
  wait: { ms: 30 },
  mandelbrot: { iterations: 100_000 },
};

/** Computing functions at once for each core: more than one, so that some have to queue. */
const BURST_PER_CORE = 3;

export function register(program: Command): void {
  program
    .command('demo')
    .description('start a platform, deploy the examples, invoke them, and clean up')
    .option('--sandbox <name>', 'as for up')
    .option('--cores <list>', 'as for up')
    .option('--json', 'print JSON')
    .action(demo);
}

async function demo(options: DemoOptions): Promise<void> {
  const progress = new Progress();
  progress.say('starting a platform');
  const platform = await startPlatform([
    ...(options.sandbox === undefined ? [] : ['--sandbox', options.sandbox]),
    ...(options.cores === undefined ? [] : ['--cores', options.cores]),
  ]);
  try {
    const client = new Client(platform.url);
    const names = await deployExamples(client, progress);
    progress.say('invoking');
    const shown = await invokeAll(client, names);
    progress.clear();
    if (options.json === true) printJson(shown);
    else print(shown);
  } finally {
    progress.clear();
    await platform.stop();
  }
}

async function deployExamples(client: Client, progress: Progress): Promise<readonly string[]> {
  const [{ readManifest }, { packPlan }, { upload }] = await Promise.all([
    import('../deploy/manifest.ts'),
    import('../deploy/pack.ts'),
    import('../deploy/upload.ts'),
  ]);
  const plans = readManifest(fileURLToPath(EXAMPLES));
  for (const plan of plans) {
    progress.say(`deploying ${plan.name}`);
    await upload(client, await packPlan(plan), false);
  }
  return plans.map((plan) => plan.name);
}

/** Each function twice, one after the other (cold, then warm), then more computing ones at once than there are cores. */
async function invokeAll(client: Client, names: readonly string[]): Promise<readonly Shown[]> {
  const shown: Shown[] = [];
  for (const name of names) for (let count = 0; count < 2; count++) shown.push(await invoke(client, name));
  const cores = await listCores(client);
  const burst = Array.from({ length: Math.min(cores.length, 8) * BURST_PER_CORE }, () => invoke(client, 'mandelbrot'));
  return [...shown, ...(await Promise.all(burst))];
}

async function invoke(client: Client, name: string): Promise<Shown> {
  const body = Buffer.from(JSON.stringify(PAYLOADS[name] ?? {}));
  const beforeMs = performance.now();
  const answer = await client.send({ method: 'POST', path: invokePath(name), body });
  const totalUs = (performance.now() - beforeMs) * 1000;
  if (answer.status !== 200) throw refusal(answer);
  if (answer.headers['x-amz-function-error'] !== undefined) {
    throw new CliError(EXIT.functionFailed, `example '${name}' failed: ${answer.body.toString()}`);
  }
  const number = (header: string): number => Number(answer.headers[header] ?? Number.NaN);
  return {
    functionName: name,
    core: number('x-perch-core'),
    queuedAt: String(answer.headers['x-perch-queued-at'] ?? '-'),
    start: String(answer.headers['x-perch-start']),
    queuedUs: number('x-perch-queued-us'),
    startUs: number('x-perch-start-us'),
    runUs: number('x-perch-run-us'),
    totalUs,
  };
}

function print(shown: readonly Shown[]): void {
  process.stdout.write(
    formatTable<Shown>(
      [
        { title: 'FUNCTION', value: (row) => row.functionName },
        { title: 'CORE', value: (row) => String(row.core), alignRight: true },
        { title: 'QUEUED AT', value: (row) => row.queuedAt },
        { title: 'WAITED', value: (row) => formatUs(row.queuedUs), alignRight: true },
        { title: 'START', value: (row) => row.start, paint: (row) => (row.start === 'cold' ? 'yellow' : 'green') },
        { title: 'STARTED IN', value: (row) => formatUs(row.startUs), alignRight: true },
        { title: 'RAN', value: (row) => formatUs(row.runUs), alignRight: true },
        { title: 'TOTAL', value: (row) => formatUs(row.totalUs), alignRight: true },
      ],
      shown,
    ),
  );
  const cores = new Set(shown.map((row) => row.core)).size;
  printLine(
    `\n${shown.length} invocations of ${new Set(shown.map((row) => row.functionName)).size} functions on ${cores} cores, each with its core to itself.`,
  );
  printNote("Next: 'perch up' in one terminal; 'perch deploy examples' and 'perch invoke hello' in another.");
}
