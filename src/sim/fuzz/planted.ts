/** Fuzzes machines with a bug, in a thread of its own: the machines of this one stay as they are. */
import { Worker } from 'node:worker_threads';
import type { Fuzzed, FuzzSetting } from './fuzz.ts';
import type { Planted } from './plants.ts';

export interface PlantedRun {
  readonly planted: Planted;
  /** Functions do not go there: it ends by its steps. */
  readonly setting: Omit<FuzzSetting, 'isOver' | 'played'>;
}

export function fuzzPlanted(run: PlantedRun): Promise<Fuzzed> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./plant-thread.ts', import.meta.url), { workerData: run });
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`the thread ended with ${code}, and said nothing`)));
  });
}
