/** The operations of Perch's own API that commands use. */
import type { Overview } from '../gateway/overview.ts';
import type { CoreView } from '../gateway/platform.ts';
import type { FunctionSharing, Isolation } from '../store/settings.ts';
import type { CopyState } from '../worker/agent/contract.ts';
import type { NetworkPolicy } from '../worker/sandbox/contract.ts';
import type { Client } from './client.ts';
import { refusal } from './client.ts';

interface CoresPage {
  readonly cores: readonly CoreView[];
  readonly nextMarker: string | null;
}

export async function listCores(client: Client): Promise<readonly CoreView[]> {
  const all: CoreView[] = [];
  for (let query = ''; ;) {
    const { cores, nextMarker }: CoresPage = await client.json('GET', `/perch/v1/cores${query}`);
    for (const core of cores) all.push(core);
    if (nextMarker === null) return all;
    query = `?marker=${nextMarker}`;
  }
}

export function getOverview(client: Client): Promise<Overview> {
  return client.json('GET', '/perch/v1/overview');
}

export interface FunctionSettings {
  readonly functionName: string;
  readonly version: string;
  readonly isolation: Isolation;
  readonly network: NetworkPolicy;
  /** Of each invocation. */
  readonly cores: number;
  /** How it shares cores with others. */
  readonly sharing: FunctionSharing;
}

/** Of the latest version of each. */
export async function listSettings(client: Client): Promise<readonly FunctionSettings[]> {
  const { functions } = await client.json<{ functions: readonly FunctionSettings[] }>('GET', '/perch/v1/functions');
  return functions;
}

export interface FunctionState extends FunctionSettings, CopyState {
  /** Why it would not run on this platform; null where it would. */
  readonly refusal: string | null;
}

export function getFunctionState(client: Client, name: string, version: string): Promise<FunctionState> {
  const path = `/perch/v1/functions/${encodeURIComponent(name)}/copies`;
  return client.json('GET', `${path}?Qualifier=${encodeURIComponent(version)}`);
}

/** What is said of when a function sleeps; null each where it is not. */
export interface Knowledge {
  readonly functionName: string;
  readonly sources: readonly string[] | null;
  readonly rules: string | null;
  /** In base64. */
  readonly plugin: string | null;
}

function knowledgePath(name: string): string {
  return `/perch/v1/functions/${encodeURIComponent(name)}/knowledge`;
}

export function getKnowledge(client: Client, name: string): Promise<Knowledge> {
  return client.json('GET', knowledgePath(name));
}

/** In place of all that was said. */
export function putKnowledge(
  client: Client,
  name: string,
  said: Partial<Omit<Knowledge, 'functionName'>>,
): Promise<Knowledge> {
  return client.json('PUT', knowledgePath(name), said);
}

export function deleteKnowledge(client: Client, name: string): Promise<void> {
  return client.json('DELETE', knowledgePath(name));
}

export interface Chain {
  readonly name: string;
  /** Each as `name`, or `name:version` for a published one. */
  readonly steps: readonly string[];
  readonly created: string;
  readonly lastModified: string;
}

const CHAINS = '/perch/v1/chains';

function chainPath(name: string): string {
  return `${CHAINS}/${encodeURIComponent(name)}`;
}

export function chainInvocationsPath(name: string): string {
  return `${chainPath(name)}/invocations`;
}

export async function listChains(client: Client): Promise<readonly Chain[]> {
  const all: Chain[] = [];
  for (let marker: string | null = null; ;) {
    const query: string = marker === null ? '' : `?marker=${encodeURIComponent(marker)}`;
    const page = await client.json<{ chains: readonly Chain[]; nextMarker: string | null }>('GET', `${CHAINS}${query}`);
    all.push(...page.chains);
    marker = page.nextMarker;
    if (marker === null) return all;
  }
}

/** Null where there is no such chain. */
export async function getChain(client: Client, name: string): Promise<Chain | null> {
  const answer = await client.send({ method: 'GET', path: chainPath(name) });
  if (answer.status === 404 && String(answer.headers['x-amzn-errortype']).startsWith('ResourceNotFound')) return null;
  if (answer.status >= 300) throw refusal(answer);
  return JSON.parse(answer.body.toString()) as Chain;
}

export function createChain(client: Client, name: string, steps: readonly string[]): Promise<Chain> {
  return client.json('POST', CHAINS, { name, steps });
}

export function updateChain(client: Client, name: string, steps: readonly string[]): Promise<Chain> {
  return client.json('PUT', chainPath(name), { steps });
}

export function deleteChain(client: Client, name: string): Promise<void> {
  return client.json('DELETE', chainPath(name));
}

export interface PlatformInfo {
  /** Policies under which functions share the network of the server all the same. */
  readonly sharedNetworks?: readonly string[];
}

export function getInfo(client: Client): Promise<PlatformInfo> {
  return client.json('GET', '/perch/v1/info');
}
