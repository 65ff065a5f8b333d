/** What `perch doctor NAME` says of one function on a platform that runs. */
import { RUNTIME_FOLDERS } from '../../worker/runtimes/index.ts';
import type { Client } from '../client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { type FunctionConfiguration, type Provisioned, getConfiguration, listProvisioned } from '../lambda-api.ts';
import { type FunctionState, getFunctionState, getInfo } from '../perch-api.ts';

export interface FunctionReport {
  readonly configuration: FunctionConfiguration;
  readonly state: FunctionState;
  readonly provisioned: readonly Provisioned[];
  /** Policies under which functions share the network of the server all the same. */
  readonly sharedNetworks: readonly string[];
}

export async function examineFunction(
  client: Client,
  name: string,
  qualifier: string | undefined,
): Promise<FunctionReport> {
  const configuration = await getConfiguration(client, name, qualifier);
  if (configuration === null) {
    const version = qualifier === undefined ? '' : ` with a version ${qualifier}`;
    throw new CliError(EXIT.notFound, `there is no function '${name}'${version}; 'perch list' shows what there is`);
  }
  // The name may have been given with a version, or as an ARN.
  const { FunctionName: functionName, Version: version } = configuration;
  const [state, provisioned, { sharedNetworks = [] }] = await Promise.all([
    getFunctionState(client, functionName, version),
    listProvisioned(client, functionName),
    getInfo(client),
  ]);
  return { configuration, state, provisioned, sharedNetworks };
}

/** What and how, one line each. */
export function reportLines({
  configuration,
  state,
  provisioned,
  sharedNetworks,
}: FunctionReport): readonly (readonly [string, string])[] {
  const layers = configuration.Layers ?? [];
  return [
    ['function', `${state.functionName} ${state.version}`],
    ['runs here', state.refusal === null ? 'yes' : `no: ${state.refusal}`],
    ['runtime', configuration.Runtime],
    ['isolation', state.isolation],
    ['network', networkLine(state, sharedNetworks)],
    ['cores', `${state.cores} for each invocation`],
    ['sharing', state.sharing],
    ['code', `${Math.ceil(configuration.CodeSize / 1024)} KB`],
    ['layers', layers.length === 0 ? 'none' : layers.map((layer) => layer.Arn).join(', ')],
    ['provisioned', provisioned.length === 0 ? 'none' : provisioned.map(provisionedLine).join('; ')],
    ...(state.failure === '' ? [] : [['initialises', `no: ${state.failure}`] as const]),
    ...copiesLines(state, configuration.Runtime),
  ];
}

function networkLine({ network }: FunctionState, sharedNetworks: readonly string[]): string {
  if (!sharedNetworks.includes(network)) return network;
  return `${network}, asked for; it shares the network of the server, as this platform can give it no other`;
}

function provisionedLine({ version, requested, available, status, reason }: Provisioned): string {
  return `version ${version}: ${available} of ${requested} ready, ${status}${reason === '' ? '' : ` (${reason})`}`;
}

function copiesLines(state: FunctionState, runtimeName: string): readonly (readonly [string, string])[] {
  const runtime = RUNTIME_FOLDERS.find(({ names }) => names.some((name) => name === runtimeName));
  const ownProcess = 'every instance is a process of its own';
  if (state.copyable !== false) return [['copies', copiesLine(state)]];
  if (runtime?.alwaysFresh === true) {
    return [['copies', 'none needed: every invocation gets a new instance of the module']];
  }
  if (runtime?.cellArgs() === null) {
    return [['copies', `none: ${ownProcess}, as always with the runtime ${runtimeName}`]];
  }
  if (state.isolation === 'process') return [['copies', `none: ${ownProcess}, as its isolation says`]];
  const reasons = state.reasons.map((reason) => ['', reason] as const);
  return [['copies', `it cannot be copied, so ${ownProcess}:`], ...reasons];
}

function copiesLine({ copyable, zygote, lacks, failure, waiting }: FunctionState): string {
  const zygoteWords = { none: 'no zygote', initialising: 'its zygote initialises', ready: 'its zygote is ready' }[
    zygote
  ];
  const unknown = failure === '' ? 'not known yet; an invocation finds out' : 'not known; it has not been initialised';
  const known = copyable === null ? unknown : 'it can be copied';
  return `${known}; ${zygoteWords}${lacks === '' ? '' : ` (${lacks})`}, ${waiting} waiting`;
}
