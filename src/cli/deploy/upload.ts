/** Brings one packed function to the platform: creates it, or changes what differs. */
import { createHash } from 'node:crypto';
import type { Client } from '../client.ts';
import type { ConfigurationChange, FunctionConfiguration } from '../lambda-api.ts';
import {
  createFunction,
  getConcurrency,
  getConfiguration,
  publishVersion,
  repairCode,
  setConcurrency,
  updateCode,
  updateConfiguration,
  waitUntilActive,
} from '../lambda-api.ts';

export interface Packed {
  readonly name: string;
  readonly zip: Buffer;
  /** Handler included. */
  readonly settings: ConfigurationChange;
  readonly concurrency?: number | null;
}

export interface Deployed {
  readonly configuration: FunctionConfiguration;
  readonly status: 'created' | 'updated' | 'unchanged';
}

export async function upload(client: Client, packed: Packed, publish: boolean): Promise<Deployed> {
  const existing = await getConfiguration(client, packed.name);
  const status = existing === null ? await create(client, packed) : await update(client, packed, existing);
  const reserved = await reserve(client, packed);
  const active = await waitUntilActive(client, packed.name);
  return {
    status: reserved && status === 'unchanged' ? 'updated' : status,
    configuration: publish ? await publishVersion(client, packed.name) : active,
  };
}

/** True if the reserved concurrency is another one now. */
async function reserve(client: Client, { name, concurrency }: Packed): Promise<boolean> {
  if (concurrency === undefined || (await getConcurrency(client, name)) === concurrency) return false;
  await setConcurrency(client, name, concurrency);
  return true;
}

async function create(client: Client, packed: Packed): Promise<'created'> {
  await createFunction(client, packed.name, packed.zip, { Runtime: 'nodejs24.x', ...packed.settings });
  return 'created';
}

async function update(
  client: Client,
  packed: Packed,
  existing: FunctionConfiguration,
): Promise<'updated' | 'unchanged'> {
  const { name, zip, settings } = packed;
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

function differs(settings: ConfigurationChange, existing: FunctionConfiguration): boolean {
  const { Environment: environment, ...plain } = settings;
  if (Object.entries(plain).some(([key, value]) => existing[key as keyof typeof plain] !== value)) return true;
  return environment !== undefined && sorted(environment.Variables) !== sorted(existing.Environment?.Variables ?? {});
}

function sorted(variables: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(variables).sort(([a], [b]) => (a < b ? -1 : 1)));
}
