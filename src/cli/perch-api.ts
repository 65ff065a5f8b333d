/** The operations of Perch's own API that commands use. */
import type { CoreView } from '../gateway/platform.ts';
import type { Client } from './client.ts';

export async function listCores(client: Client): Promise<readonly CoreView[]> {
  const { cores } = await client.json<{ cores: readonly CoreView[] }>('GET', '/perch/v1/cores');
  return cores;
}
