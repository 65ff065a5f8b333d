/** The operations of Perch's own API that commands use. */
import type { Overview } from '../gateway/overview.ts';
import type { CoreView } from '../gateway/platform.ts';
import type { Isolation } from '../store/settings.ts';
import type { CopyState } from '../worker/agent/contract.ts';
import type { NetworkPolicy } from '../worker/sandbox/contract.ts';
import type { Client } from './client.ts';

export async function listCores(client: Client): Promise<readonly CoreView[]> {
  const { cores } = await client.json<{ cores: readonly CoreView[] }>('GET', '/perch/v1/cores');
  return cores;
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

export interface PlatformInfo {
  /** Policies under which functions share the network of the server all the same. */
  readonly sharedNetworks?: readonly string[];
}

export function getInfo(client: Client): Promise<PlatformInfo> {
  return client.json('GET', '/perch/v1/info');
}
