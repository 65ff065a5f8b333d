/** Brings one packed function to the platform: creates it, or changes what differs. */
import { createHash } from 'node:crypto';
import { SETTING_VARIABLES } from '../../store/settings.ts';
import type { Client } from '../client.ts';
import type { ConfigurationChange, FunctionConfiguration } from '../lambda-api.ts';
import {
  createFunction,
  getConcurrency,
  getConfiguration,
  listProvisioned,
  publishVersion,
  repairCode,
  setConcurrency,
  setProvisioned,
  updateCode,
  updateConfiguration,
  waitUntilActive,
} from '../lambda-api.ts';
import type { PackedLayer } from './layers.ts';
import { bringLayers } from './layers.ts';
import { RUNTIME_DEFAULT, familyOf } from './runtime-family.ts';

export interface Packed {
  readonly name: string;
  readonly zip: Buffer;
  /** Handler included. */
  readonly settings: ConfigurationChange;
  /** For a new function, and for one that had other code; null where the code does not tell. */
  readonly runtimeDefault: string | null;
  /** Go beside whatever variables the function has. */
  readonly perchVariables: Readonly<Record<string, string>>;
  /** Undefined leaves them. */
  readonly layers?: readonly PackedLayer[];
  readonly concurrency?: number | null;
  readonly provisioned?: number | null;
}

export interface Deployed {
  readonly configuration: FunctionConfiguration;
  readonly status: 'created' | 'updated' | 'unchanged';
  /** The version of `configuration` has instances kept ready. */
  readonly provisioned: boolean;
}

export async function upload(client: Client, asked: Packed, publish: boolean): Promise<Deployed> {
  const packed = await withLayers(client, asked);
  const existing = await getConfiguration(client, packed.name);
  const status = existing === null ? await create(client, packed) : await update(client, packed, existing);
  const active = await waitUntilActive(client, packed.name);
  const provisioned = typeof packed.provisioned === 'number';
  const configuration = publish || provisioned ? await publishVersion(client, packed.name) : active;
  const limited = await limit(client, packed, configuration.Version);
  return { status: limited && status === 'unchanged' ? 'updated' : status, configuration, provisioned };
}

async function withLayers(client: Client, packed: Packed): Promise<Packed> {
  if (packed.layers === undefined) return packed;
  return { ...packed, settings: { ...packed.settings, Layers: await bringLayers(client, packed.layers) } };
}

/**
 * Reserved and provisioned concurrency; true if either is another one now. What is provisioned may never be more than
 * what is reserved, so it goes first where the reservation shrinks.
 */
async function limit(client: Client, packed: Packed, version: string): Promise<boolean> {
  const { name, concurrency } = packed;
  if (concurrency === undefined) return provision(client, packed, version);
  const before = await getConcurrency(client, name);
  const shrinks = (concurrency ?? Infinity) < (before ?? Infinity);
  const first = shrinks && (await provision(client, packed, version));
  if (before !== concurrency) await setConcurrency(client, name, concurrency);
  const second = !shrinks && (await provision(client, packed, version));
  return first || second || before !== concurrency;
}

/** Older versions give theirs back first: there may not be memory for both. Where the new one is refused they have it again. */
async function provision(client: Client, { name, provisioned }: Packed, version: string): Promise<boolean> {
  if (provisioned === undefined) return false;
  const before = await listProvisioned(client, name);
  const kept = provisioned === null ? undefined : before.find((each) => each.version === version);
  const given = before.filter((each) => each !== kept);
  for (const each of given) await setProvisioned(client, name, each.version, null);
  const isThere = provisioned === null || kept?.requested === provisioned;
  if (!isThere) {
    await setProvisioned(client, name, version, provisioned).catch(async (error: unknown) => {
      for (const each of given) await setProvisioned(client, name, each.version, each.requested).catch(() => {});
      throw error;
    });
  }
  return !isThere || given.length > 0;
}

async function create(client: Client, packed: Packed): Promise<'created'> {
  const runtime = packed.runtimeDefault ?? RUNTIME_DEFAULT.node;
  await createFunction(client, packed.name, packed.zip, { Runtime: runtime, ...settingsOf(packed, {}) });
  return 'created';
}

async function update(
  client: Client,
  packed: Packed,
  existing: FunctionConfiguration,
): Promise<'updated' | 'unchanged'> {
  const { name, zip } = packed;
  const settings = { ...runtimeOf(packed, existing), ...settingsOf(packed, existing.Environment?.Variables ?? {}) };
  const codeChanged = createHash('sha256').update(zip).digest('base64') !== existing.CodeSha256;
  const settingsChanged = differs(settings, existing);
  if (codeChanged) {
    await updateCode(client, name, zip);
    // The API refuses a second change while the first takes effect.
    await waitUntilActive(client, name);
  } else {
    // Who deploys the same again may do so because the code on the platform's disk is damaged.
    await repairCode(client, name, zip);
  }
  if (settingsChanged) await updateConfiguration(client, name, settings);
  return codeChanged || settingsChanged ? 'updated' : 'unchanged';
}

/** The runtime stays unless the code is for another kind of runtime now. */
function runtimeOf({ runtimeDefault }: Packed, existing: FunctionConfiguration): ConfigurationChange {
  if (runtimeDefault === null || familyOf(runtimeDefault) === familyOf(existing.Runtime)) return {};
  return { Runtime: runtimeDefault };
}

/** Isolation, network, cores and sharing are settings of their own to who deploys: other variables do not replace them. */
function settingsOf(
  { settings, perchVariables }: Packed,
  before: Readonly<Record<string, string>>,
): ConfigurationChange {
  const given = settings.Environment?.Variables;
  if (given === undefined && Object.keys(perchVariables).length === 0) return settings;
  const kept = Object.entries(before).filter(([key]) => SETTING_VARIABLES.includes(key));
  const variables = given === undefined ? before : { ...Object.fromEntries(kept), ...given };
  return { ...settings, Environment: { Variables: { ...variables, ...perchVariables } } };
}

function differs(settings: ConfigurationChange, existing: FunctionConfiguration): boolean {
  const { Environment: environment, Layers: layers, ...plain } = settings;
  if (Object.entries(plain).some(([key, value]) => existing[key as keyof typeof plain] !== value)) return true;
  const arns = (existing.Layers ?? []).map((layer) => layer.Arn);
  if (layers !== undefined && JSON.stringify(layers) !== JSON.stringify(arns)) return true;
  return environment !== undefined && sorted(environment.Variables) !== sorted(existing.Environment?.Variables ?? {});
}

function sorted(variables: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(variables).sort(([a], [b]) => (a < b ? -1 : 1)));
}
