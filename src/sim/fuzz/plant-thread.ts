/** The entry of a thread whose machines have a bug: it is put in as they are loaded, and so before anything of them is. */
import { registerHooks } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { PlantedRun } from './planted.ts';

const { planted, setting } = workerData as PlantedRun;

registerHooks({
  load: (asked, context, nextLoad) => {
    const loaded = nextLoad(asked, context);
    return asked === planted.url ? { ...loaded, source: planted.source } : loaded;
  },
});

const { fuzz } = await import('./fuzz.ts');
parentPort!.postMessage(fuzz(setting));
