/** The operations of the Lambda API that commands use, with the fields that they read. */
import type { Client } from './client.ts';
import { refusal } from './client.ts';
import { CliError, EXIT } from './exit-codes.ts';

const ROOT = '/2015-03-31/functions';
const LAYERS_ROOT = '/2018-10-31/layers';
const CONCURRENCY_ROOT = '/2017-10-31/functions';
const CONCURRENCY_READ_ROOT = '/2019-09-30/functions';

export interface FunctionConfiguration {
  readonly FunctionName: string;
  readonly FunctionArn: string;
  readonly Runtime: string;
  readonly Handler: string;
  readonly Description: string;
  readonly Timeout: number;
  readonly MemorySize: number;
  readonly CodeSize: number;
  /** Of the zip, base64. */
  readonly CodeSha256: string;
  readonly LastModified: string;
  readonly Version: string;
  readonly State?: string;
  readonly StateReason?: string;
  readonly LastUpdateStatus?: string;
  readonly LastUpdateStatusReason?: string;
  readonly Layers?: readonly { readonly Arn: string }[];
  readonly Environment?: { readonly Variables?: Readonly<Record<string, string>> };
}

export interface Provisioned {
  readonly version: string;
  readonly requested: number;
  readonly available: number;
  readonly status: string;
  readonly reason: string;
}

interface ProvisionedItem {
  readonly FunctionArn: string;
  readonly RequestedProvisionedConcurrentExecutions: number;
  readonly AvailableProvisionedConcurrentExecutions?: number;
  readonly Status: string;
  readonly StatusReason?: string;
}

/** What an update may change; absent fields keep their value. */
export interface ConfigurationChange {
  readonly Runtime?: string;
  readonly Handler?: string;
  readonly Description?: string;
  readonly Timeout?: number;
  readonly MemorySize?: number;
  /** ARNs of their versions. */
  readonly Layers?: readonly string[];
  readonly Environment?: { readonly Variables: Readonly<Record<string, string>> };
}

function functionPath(name: string): string {
  return `${ROOT}/${encodeURIComponent(name)}`;
}

export function invokePath(name: string, qualifier?: string): string {
  const query = qualifier === undefined ? '' : `?Qualifier=${encodeURIComponent(qualifier)}`;
  return `${functionPath(name)}/invocations${query}`;
}

export async function listFunctions(client: Client): Promise<FunctionConfiguration[]> {
  const functions: FunctionConfiguration[] = [];
  let marker: string | undefined;
  do {
    const query = marker === undefined ? '' : `?Marker=${encodeURIComponent(marker)}`;
    const page = await client.json<{ Functions: FunctionConfiguration[]; NextMarker?: string | null }>(
      'GET',
      `${ROOT}${query}`,
    );
    functions.push(...page.Functions);
    marker = page.NextMarker ?? undefined;
  } while (marker !== undefined);
  return functions;
}

/** Null where there is no such function, or no such version. */
export async function getConfiguration(
  client: Client,
  name: string,
  qualifier?: string,
): Promise<FunctionConfiguration | null> {
  const query = qualifier === undefined ? '' : `?Qualifier=${encodeURIComponent(qualifier)}`;
  const answer = await client.send({ method: 'GET', path: `${functionPath(name)}/configuration${query}` });
  if (answer.status === 404 && String(answer.headers['x-amzn-errortype']).startsWith('ResourceNotFound')) return null;
  if (answer.status >= 300) throw refusal(answer);
  return JSON.parse(answer.body.toString()) as FunctionConfiguration;
}

export function createFunction(
  client: Client,
  name: string,
  zip: Buffer,
  configuration: ConfigurationChange,
): Promise<FunctionConfiguration> {
  return client.json('POST', ROOT, {
    FunctionName: name,
    // The API demands a role; Perch has none to give.
    Role: 'arn:aws:iam::000000000000:role/perch',
    Code: { ZipFile: zip.toString('base64') },
    ...configuration,
  });
}

export function updateCode(client: Client, name: string, zip: Buffer): Promise<FunctionConfiguration> {
  return client.json('PUT', `${functionPath(name)}/code`, { ZipFile: zip.toString('base64') });
}

/** Has the platform look whether it still holds this code whole, and store it again if not; changes no function. */
export async function repairCode(client: Client, name: string, zip: Buffer): Promise<void> {
  await client.json('PUT', `${functionPath(name)}/code`, { ZipFile: zip.toString('base64'), DryRun: true });
}

export function updateConfiguration(
  client: Client,
  name: string,
  change: ConfigurationChange,
): Promise<FunctionConfiguration> {
  return client.json('PUT', `${functionPath(name)}/configuration`, change);
}

export interface LayerVersion {
  readonly LayerVersionArn: string;
  /** `CodeSha256`: of the zip, base64. */
  readonly Content: { readonly CodeSha256: string; readonly Location: string };
}

/** Null where the layer has no version. */
export async function newestLayerVersion(client: Client, name: string): Promise<LayerVersion | null> {
  const list = await client.json<{ LayerVersions: readonly { Version: number }[] }>(
    'GET',
    `${LAYERS_ROOT}/${name}/versions?MaxItems=1`,
  );
  const [newest] = list.LayerVersions;
  return newest === undefined ? null : client.json('GET', `${LAYERS_ROOT}/${name}/versions/${newest.Version}`);
}

/** Whether the platform still has the zip of the version, with every byte of it. */
export async function isLayerWhole(client: Client, { Content }: LayerVersion): Promise<boolean> {
  const { pathname, search } = new URL(Content.Location);
  return (await client.send({ method: 'GET', path: pathname + search })).status === 200;
}

export function publishLayerVersion(client: Client, name: string, zip: Buffer): Promise<LayerVersion> {
  return client.json('POST', `${LAYERS_ROOT}/${name}/versions`, { Content: { ZipFile: zip.toString('base64') } });
}

export function publishVersion(client: Client, name: string): Promise<FunctionConfiguration> {
  return client.json('POST', `${functionPath(name)}/versions`, {});
}

/** Null: nothing is reserved. */
export async function getConcurrency(client: Client, name: string): Promise<number | null> {
  const path = `${CONCURRENCY_READ_ROOT}/${encodeURIComponent(name)}/concurrency`;
  const answer = await client.json<{ ReservedConcurrentExecutions?: number }>('GET', path);
  return answer.ReservedConcurrentExecutions ?? null;
}

/** Instances kept ready, by version. */
export async function listProvisioned(client: Client, name: string): Promise<readonly Provisioned[]> {
  const provisioned: Provisioned[] = [];
  let marker = '';
  do {
    const query = marker === '' ? '' : `&Marker=${encodeURIComponent(marker)}`;
    const path = `${provisionedPath(name)}?List=ALL${query}`;
    const page = await client.json<{ ProvisionedConcurrencyConfigs: ProvisionedItem[]; NextMarker?: string }>(
      'GET',
      path,
    );
    for (const item of page.ProvisionedConcurrencyConfigs) {
      provisioned.push({
        version: item.FunctionArn.slice(item.FunctionArn.lastIndexOf(':') + 1),
        requested: item.RequestedProvisionedConcurrentExecutions,
        available: item.AvailableProvisionedConcurrentExecutions ?? 0,
        status: item.Status,
        reason: item.StatusReason ?? '',
      });
    }
    marker = page.NextMarker ?? '';
  } while (marker !== '');
  return provisioned;
}

/** Null lifts it. */
export async function setProvisioned(
  client: Client,
  name: string,
  version: string,
  count: number | null,
): Promise<void> {
  const path = `${provisionedPath(name)}?Qualifier=${encodeURIComponent(version)}`;
  if (count === null) await client.json('DELETE', path);
  else await client.json('PUT', path, { ProvisionedConcurrentExecutions: count });
}

function provisionedPath(name: string): string {
  return `${CONCURRENCY_READ_ROOT}/${encodeURIComponent(name)}/provisioned-concurrency`;
}

/** Null lifts the reservation. */
export async function setConcurrency(client: Client, name: string, max: number | null): Promise<void> {
  const path = `${CONCURRENCY_ROOT}/${encodeURIComponent(name)}/concurrency`;
  if (max === null) await client.json('DELETE', path);
  else await client.json('PUT', path, { ReservedConcurrentExecutions: max });
}

export async function deleteFunction(client: Client, name: string, qualifier?: string): Promise<void> {
  const query = qualifier === undefined ? '' : `?Qualifier=${encodeURIComponent(qualifier)}`;
  await client.json('DELETE', `${functionPath(name)}${query}`);
}

const POLL_MS = 50;
const POLL_COUNT_MAX = 600;

/** Waits until the last change of a function has taken effect. */
export async function waitUntilActive(client: Client, name: string): Promise<FunctionConfiguration> {
  for (let poll = 0; poll < POLL_COUNT_MAX; poll++) {
    const configuration = await getConfiguration(client, name);
    if (configuration === null)
      throw new CliError(EXIT.notFound, `function '${name}' was deleted while it was deployed`);
    const { State: state = 'Active', LastUpdateStatus: update = 'Successful' } = configuration;
    if (state === 'Failed' || update === 'Failed') {
      const reason = configuration.StateReason ?? configuration.LastUpdateStatusReason ?? 'no reason given';
      throw new CliError(EXIT.refused, `function '${name}' did not become active: ${reason}`);
    }
    if (state === 'Active' && update === 'Successful') return configuration;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new CliError(
    EXIT.throttled,
    `function '${name}' is still not active after ${(POLL_MS * POLL_COUNT_MAX) / 1000} s`,
  );
}
