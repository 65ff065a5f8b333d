/** What `perch doctor NAME` says of one function on a platform that runs. */
import type { Client } from '../client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { type FunctionConfiguration, type Provisioned, getConfiguration, listProvisioned } from '../lambda-api.ts';
import { type FunctionState, getFunctionState } from '../perch-api.ts';

export interface FunctionReport {
  readonly configuration: FunctionConfiguration;
  readonly state: FunctionState;
  readonly provisioned: readonly Provisioned[];
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
  const [state, provisioned] = await Promise.all([
    getFunctionState(client, functionName, version),
    listProvisioned(client, functionName),
  ]);
  return { configuration, state, provisioned };
}

/** What and how, one line each. */
export function reportLines({
  configuration,
  state,
  provisioned,
}: FunctionReport): readonly (readonly [string, string])[] {
  const layers = configuration.Layers ?? [];
  return [
    ['function', `${state.functionName} ${state.version}`],
    ['runs here', state.refusal === null ? 'yes' : `no: ${state.refusal}`],
    ['runtime', configuration.Runtime],
    ['isolation', state.isolation],
    ['network', state.network],
    ['code', `${Math.ceil(configuration.CodeSize / 1024)} KB`],
    ['layers', layers.length === 0 ? 'none' : layers.map((layer) => layer.Arn).join(', ')],
    ['provisioned', provisioned.length === 0 ? 'none' : provisioned.map(provisionedLine).join('; ')],
    ['copies', copiesLine(state)],
    ...state.reasons.map((reason) => ['', reason] as const),
  ];
}

function provisionedLine({ version, requested, available, status, reason }: Provisioned): string {
  return `version ${version}: ${available} of ${requested} ready, ${status}${reason === '' ? '' : ` (${reason})`}`;
}

function copiesLine({ copyable, zygote, lacks, waiting }: FunctionState): string {
  if (copyable === false) return 'it cannot be copied, so every instance is a process of its own:';
  const zygoteWords = { none: 'no zygote', initialising: 'its zygote initialises', ready: 'its zygote is ready' }[
    zygote
  ];
  const known = copyable === null ? 'not known yet; an invocation finds out' : 'it can be copied';
  return `${known}; ${zygoteWords}${lacks === '' ? '' : ` (${lacks})`}, ${waiting} waiting`;
}
