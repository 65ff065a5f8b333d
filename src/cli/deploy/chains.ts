/** Brings the chains of perch.json to the platform, once their functions are there. */
import { isDeepStrictEqual } from 'node:util';
import type { Client } from '../client.ts';
import { createChain, getChain, updateChain } from '../perch-api.ts';

export interface PlannedChain {
  readonly name: string;
  readonly steps: readonly string[];
}

export interface DeployedChain extends PlannedChain {
  readonly status: 'created' | 'updated' | 'unchanged';
}

export async function uploadChain(client: Client, { name, steps }: PlannedChain): Promise<DeployedChain> {
  const existing = await getChain(client, name);
  if (existing === null) await createChain(client, name, steps);
  else if (!isDeepStrictEqual(existing.steps, steps)) await updateChain(client, name, steps);
  else return { name, steps, status: 'unchanged' };
  return { name, steps, status: existing === null ? 'created' : 'updated' };
}
