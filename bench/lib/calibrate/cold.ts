/** `coldStartUs`: from the grant until the handler runs, of the first invocation ever of a small function; stem cells wait, as they do on every worker. */
import { setTimeout as sleep } from 'node:timers/promises';
import { perchServer } from '../servers.ts';
import { type MeasuredCosts, spreadOf } from './spread.ts';

const SOURCE = 'export const handler = async () => ({ ok: true })';
/** A stem cell takes the place of the one that was used. */
const REST_MS = 300;
const COUNT = 10;

export async function coldStartCosts({ smoke }: { readonly smoke: boolean }): Promise<MeasuredCosts> {
  const perch = await perchServer();
  try {
    const startsUs: number[] = [];
    // Of the first one the platform's own code is not compiled yet.
    for (let index = 0; index <= (smoke ? 1 : COUNT); index++) {
      const url = await perch.deploy(`cold-${index}`, SOURCE);
      await sleep(REST_MS);
      const answer = await fetch(url, { method: 'POST', body: '{}' });
      if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
      if (index > 0) startsUs.push(Number(answer.headers.get('x-perch-start-us')));
    }
    return { coldStartUs: spreadOf(startsUs) };
  } finally {
    await perch.stop();
  }
}
