/** Platforms for experiments: each a `perch up` of its own, with the experiment's functions deployed. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ExperimentPlatform, PlatformStarter } from '../experiment/platform.ts';
import { Client, refusal } from './client.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { invokePath } from './lambda-api.ts';
import { listCores } from './perch-api.ts';
import { OWN_OPTIONS, startPlatform } from './platform-process.ts';

const MANIFEST = new URL('../experiment/functions/perch.json', import.meta.url);
/** HTTP's status for it. */
const BUSY = 429;
const CHAINS_PATH = '/perch/v1/chains';
const HOST_NETWORK_OPTION = '--allow-host-network';
/** Of `perch up`, set for every platform here. */
export const PLATFORM_OPTIONS = [...OWN_OPTIONS, HOST_NETWORK_OPTION] as const;

/** `args` are added to every `perch up`. */
export function platformStarter(args: readonly string[]): PlatformStarter {
  const help = execFileSync(process.execPath, [process.argv[1] ?? '', 'up', '--help'], { encoding: 'utf8' });
  const options = new Set(help.match(/--[a-z-]+/g));
  return { takes: (option) => options.has(option), start: (more) => start([...args, ...more]) };
}

async function start(args: readonly string[]): Promise<ExperimentPlatform> {
  const platform = await startPlatform([HOST_NETWORK_OPTION, ...args]);
  try {
    const client = new Client(platform.url);
    await deployFunctions(client);
    const cores = await listCores(client);
    const chains = (await client.send({ method: 'GET', path: CHAINS_PATH })).status === 200;
    return {
      pid: platform.pid,
      cores: cores.map((core) => core.cpus),
      invoke: (name, payload) => call(client, invokePath(name), payload),
      invokeChain: chains ? (name, payload) => call(client, `${CHAINS_PATH}/${name}/invocations`, payload) : null,
      createChain: (name, functions) => client.json('POST', CHAINS_PATH, { name, steps: functions }),
      stop: () => platform.stop(),
    };
  } catch (error) {
    await platform.stop();
    throw error;
  }
}

async function deployFunctions(client: Client): Promise<void> {
  const [{ readManifest }, { packPlan }, { upload }] = await Promise.all([
    import('./deploy/manifest.ts'),
    import('./deploy/pack.ts'),
    import('./deploy/upload.ts'),
  ]);
  for (const plan of readManifest(fileURLToPath(MANIFEST))) await upload(client, await packPlan(plan), false);
}

async function call(client: Client, path: string, payload: unknown): Promise<unknown> {
  const answer = await client.send({ method: 'POST', path, body: Buffer.from(JSON.stringify(payload)) });
  if (answer.status === BUSY) return null;
  if (answer.status !== 200) throw refusal(answer);
  const text = answer.body.toString();
  if (answer.headers['x-amz-function-error'] !== undefined) {
    throw new CliError(EXIT.functionFailed, `a function of the experiment failed: ${text.slice(0, 2000)}`);
  }
  return JSON.parse(text);
}
