import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { type Command, Option } from 'commander';
import { LIMITS } from '../../base/limits.ts';
import { CORES_MAX, ISOLATIONS, NETWORKS, SHARINGS } from '../../store/settings.ts';
import { Client } from '../client.ts';
import type { DeployedChain, PlannedChain } from '../deploy/chains.ts';
import { uploadChain } from '../deploy/chains.ts';
import { MANIFEST, nameOf, perchVariables, sourceAt } from '../deploy/plan.ts';
import type { Plan } from '../deploy/plan.ts';
import type { Deployed, Packed } from '../deploy/upload.ts';
import { upload } from '../deploy/upload.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { invokePath } from '../lambda-api.ts';
import type { EndpointOptions } from '../options.ts';
import { collect, wholeNumber, withEndpoint } from '../options.ts';
import { chainInvocationsPath } from '../perch-api.ts';
import { Progress, formatTable, printJson } from '../terminal.ts';

interface DeployOptions extends EndpointOptions {
  readonly name?: string;
  readonly handler?: string;
  readonly runtime?: string;
  readonly env?: readonly string[];
  readonly envFile?: string;
  readonly memory?: number;
  readonly timeout?: number;
  readonly description?: string;
  /** 'none' and not null, which commander takes for a value that is missing. */
  readonly concurrency?: number | 'none';
  readonly provisioned?: number | 'none';
  readonly isolation?: string;
  readonly network?: string;
  readonly cores?: number;
  readonly sharing?: string;
  readonly external?: readonly string[];
  readonly publish?: boolean;
  readonly bundle: boolean;
}

const HELP = `
A FILE is bundled with what it imports; its handler is the export named 'handler', or the default one.
A FOLDER is one with perch.json (all its functions, or the one that --name picks), with a main in package.json, or
with an index file. With --no-bundle a folder is packed as it is, as for AWS Lambda; a .zip is uploaded as it is.

A .py file is packed with the folder it lies in; install what it needs there (pip install --target FOLDER PACKAGE).
A file named bootstrap, or a folder with one, runs as provided.al2023. A .wasm file is a WASI command, or exports its
handler. Which of them a folder is, its files tell, or --runtime.

A version is published where --provisioned asks for instances of it; invoke that version by its number to use them.

What you do not mention keeps its value when the function exists already; --env and --env-file replace all variables.

Examples:
  perch deploy resize.ts --memory 512 --timeout 10 --env LEVEL=debug
  perch deploy examples
  perch deploy package/ --no-bundle --name api --handler index.handler`;

export function register(program: Command): void {
  const command = program
    .command('deploy')
    .description('deploy a function from a file, or those of a folder')
    .argument('<path>', 'file or folder')
    .option('--name <name>', 'the name of the function (default: that of the file or folder)')
    .option('--handler <export>', 'the export to call')
    .option('--runtime <runtime>', 'such as nodejs24.x, python3.12, provided.al2023 or wasm (default: by the code)')
    .option('--env <key=value>', 'an environment variable; can be given many times', collect)
    .option('--env-file <file>', 'environment variables from a file, one KEY=VALUE a line')
    .option('--memory <mb>', 'memory in MB (default 128)', wholeNumber(LIMITS.memoryMbMin, LIMITS.memoryMbMax))
    .option('--timeout <s>', 'timeout in seconds (default 3)', wholeNumber(1, LIMITS.timeoutSMax))
    .option('--description <text>', 'what it is for')
    .option('--concurrency <count>', "most invocations at once, reserved; 'none' lifts it", parseConcurrency)
    .option('--provisioned <count>', "instances kept ready; publishes a version; 'none' lifts it", parseProvisioned)
    .addOption(
      new Option(
        '--isolation <kind>',
        'an instance for many invocations, a clean copy for each, or instances that share nothing',
      ).choices(ISOLATIONS),
    )
    .addOption(new Option('--network <reach>', 'what the function reaches').choices(NETWORKS))
    .option('--cores <count>', 'cores of each invocation, all at once (default 1)', wholeNumber(1, CORES_MAX))
    .addOption(new Option('--sharing <kind>', 'how it shares cores with others').choices(SHARINGS))
    .option('--external <package>', 'pack this npm package as it is; can be given many times', collect)
    .option('--publish', 'publish a numbered version')
    .option('--no-bundle', 'pack the folder as it is')
    .addHelpText('after', HELP);
  withEndpoint(command).action(deploy);
}

function parseConcurrency(text: string): number | 'none' {
  return text === 'none' ? text : wholeNumber(0, 1_000_000)(text);
}

function parseProvisioned(text: string): number | 'none' {
  return text === 'none' ? text : wholeNumber(1, 1_000_000)(text);
}

async function deploy(path: string, options: DeployOptions): Promise<void> {
  const client = new Client(options.endpoint);
  const { plans, chains } = await planAll(path, options);
  const progress = new Progress();
  // Everything is packed before anything is uploaded, so that a mistake in one function changes none.
  const packed: Packed[] = [];
  try {
    for (const plan of plans) {
      progress.say(`packing ${plan.name}`);
      packed.push(await pack(plan));
    }
    await uploadAll(client, { packed, chains }, options, progress);
  } finally {
    progress.clear();
  }
}

interface Failed {
  readonly kind: 'function' | 'chain';
  readonly name: string;
  readonly error: CliError;
}

interface Outcome {
  readonly done: readonly Deployed[];
  readonly chains: readonly DeployedChain[];
  readonly failed: readonly Failed[];
}

async function uploadAll(
  client: Client,
  { packed, chains }: { readonly packed: readonly Packed[]; readonly chains: readonly PlannedChain[] },
  options: DeployOptions,
  progress: Progress,
): Promise<void> {
  const failed: Failed[] = [];
  const done = await tryEach('function', packed, failed, (each) => {
    progress.say(`deploying ${each.name}`);
    return upload(client, each, options.publish === true);
  });
  // A chain is of functions that are there.
  const possible = failed.length === 0 ? chains : [];
  const doneChains = await tryEach('chain', possible, failed, (each) => uploadChain(client, each));
  const [first] = failed;
  const count = packed.length + chains.length;
  if (first !== undefined && count === 1) throw first.error;
  progress.clear();
  print(client, { done, failed, chains: doneChains }, options);
  if (first === undefined) return;
  const ofChains = chains.length === 0 ? '' : ` and ${doneChains.length} of ${chains.length} chains`;
  const rest = count - done.length - doneChains.length - failed.length;
  const untried = rest === 0 ? '' : `, ${rest} not tried`;
  const others = failed.length === 1 ? '' : ` (and ${failed.length - 1} more failed)`;
  throw new CliError(
    first.error.exitCode,
    `${done.length} of ${packed.length} functions${ofChains} deployed${untried}; ${failureText(first)}${others}`,
    failed
      .slice(1)
      .map((each) => `  ${failureText(each)}\n`)
      .join(''),
  );
}

/** What came of each that succeeded; the others go to `failed`. Where no platform answers, those that follow are not tried. */
async function tryEach<T extends { readonly name: string }, R>(
  kind: Failed['kind'],
  all: readonly T[],
  failed: Failed[],
  bring: (each: T) => Promise<R>,
): Promise<R[]> {
  const done: R[] = [];
  for (const each of all) {
    try {
      done.push(await bring(each));
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      failed.push({ kind, name: each.name, error });
      if (error.exitCode === EXIT.unreachable) break;
    }
  }
  return done;
}

function failureText({ kind, name, error }: Failed): string {
  return `${kind === 'chain' ? 'chain ' : ''}'${name}': ${error.message}`;
}

function print(client: Client, { done, failed, chains }: Outcome, options: DeployOptions): void {
  const chainUrl = ({ name }: DeployedChain): string => new URL(chainInvocationsPath(name), client.endpoint).href;
  const url = ({ configuration, provisioned }: Deployed): string => {
    const { FunctionName: name, Version: version } = configuration;
    // Only that version has the instances that are kept ready.
    return new URL(invokePath(name, provisioned ? version : undefined), client.endpoint).href;
  };
  if (options.json === true) {
    return printJson({
      functions: done.map((each) => ({
        name: each.configuration.FunctionName,
        version: each.configuration.Version,
        status: each.status,
        url: url(each),
        codeSha256: each.configuration.CodeSha256,
      })),
      ...(chains.length > 0 && { chains: chains.map((each) => ({ ...each, url: chainUrl(each) })) }),
      failed: failed.map(({ kind, name, error }) => ({ kind, name, error: error.message })),
    });
  }
  if (done.length === 0) return;
  process.stdout.write(
    formatTable<Deployed>(
      [
        { title: 'FUNCTION', value: ({ configuration }) => configuration.FunctionName },
        { title: 'VERSION', value: ({ configuration }) => configuration.Version },
        { title: 'STATUS', value: ({ status }) => status },
        { title: 'URL', value: url },
      ],
      done,
    ),
  );
  if (chains.length === 0) return;
  process.stdout.write(
    formatTable<DeployedChain>(
      [
        { title: 'CHAIN', value: ({ name }) => name },
        { title: 'STEPS', value: ({ steps }) => steps.join(' > ') },
        { title: 'STATUS', value: ({ status }) => status },
        { title: 'URL', value: chainUrl },
      ],
      chains,
    ),
  );
}

interface Planned {
  readonly plans: readonly Plan[];
  readonly chains: readonly PlannedChain[];
}

async function planAll(path: string, options: DeployOptions): Promise<Planned> {
  // Joined and resolved it would be the current folder.
  if (path === '') throw new CliError(EXIT.usage, "the path is empty; give a file or a folder to deploy, such as '.'");
  const manifest = join(path, MANIFEST);
  if (!options.bundle || !existsSync(manifest))
    return { plans: [override(planOne(path, options), options)], chains: [] };
  const { readWholeManifest } = await import('../deploy/manifest.ts');
  const { plans: all, chains: allChains } = readWholeManifest(manifest);
  const chains = options.name === undefined ? allChains : [];
  const plans = options.name === undefined ? all : all.filter((plan) => plan.name === options.name);
  if (plans.length === 0) {
    throw new CliError(
      EXIT.usage,
      `${manifest} has no function '${options.name}'; it has ${all.map((plan) => plan.name).join(', ')}`,
    );
  }
  const [only] = plans;
  if (plans.length === 1 && only !== undefined) return { plans: [override(only, options)], chains };
  const setting = (
    [
      'handler',
      'runtime',
      'env',
      'envFile',
      'memory',
      'timeout',
      'description',
      'concurrency',
      'provisioned',
      'isolation',
      'network',
      'cores',
      'sharing',
    ] as const
  ).find((key) => options[key] !== undefined);
  if (setting !== undefined) {
    throw new CliError(
      EXIT.usage,
      `${manifest} has ${plans.length} functions; say with --name which one the other options are for`,
    );
  }
  return { plans, chains };
}

function planOne(path: string, options: DeployOptions): Plan {
  const source = sourceAt(path, { asIs: !options.bundle, runtime: options.runtime });
  const name = options.name ?? nameOf(path);
  return { name, source, external: [], settings: {} };
}

/** The plan with what the command line says on top. */
function override(plan: Plan, options: DeployOptions): Plan {
  const variables = environment(options);
  return {
    ...plan,
    ...(options.handler !== undefined && { handler: options.handler }),
    ...(options.concurrency !== undefined && {
      concurrency: options.concurrency === 'none' ? null : options.concurrency,
    }),
    ...(options.provisioned !== undefined && {
      provisioned: options.provisioned === 'none' ? null : options.provisioned,
    }),
    perchVariables: { ...plan.perchVariables, ...perchVariables(options) },
    external: [...plan.external, ...(options.external ?? [])],
    settings: {
      ...plan.settings,
      ...(options.runtime !== undefined && { Runtime: options.runtime }),
      ...(options.description !== undefined && { Description: options.description }),
      ...(options.memory !== undefined && { MemorySize: options.memory }),
      ...(options.timeout !== undefined && { Timeout: options.timeout }),
      ...(variables !== undefined && { Environment: { Variables: variables } }),
    },
  };
}

function environment(options: DeployOptions): Record<string, string> | undefined {
  if (options.env === undefined && options.envFile === undefined) return undefined;
  const variables: Record<string, string> = {};
  if (options.envFile !== undefined) {
    try {
      Object.assign(variables, parseEnv(readFileSync(options.envFile, 'utf8')));
    } catch (error) {
      throw new CliError(EXIT.usage, `cannot read --env-file ${options.envFile}: ${(error as Error).message}`);
    }
  }
  for (const pair of options.env ?? []) {
    const equals = pair.indexOf('=');
    if (equals < 1) throw new CliError(EXIT.usage, `--env '${pair}' has not the form KEY=VALUE`);
    variables[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  return variables;
}

async function pack(plan: Plan): Promise<Packed> {
  const { packPlan } = await import('../deploy/pack.ts');
  return packPlan(plan);
}
