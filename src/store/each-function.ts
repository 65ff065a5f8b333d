import type { FunctionRecord, Store } from './store.ts';

const PAGE_ITEMS = 1000;

/** Every function, in order of names; what changes meanwhile is seen or not. */
export function* eachFunction(store: Pick<Store, 'listFunctions'>): Iterable<FunctionRecord> {
  for (let marker: string | null = null; ;) {
    const page: ReturnType<Store['listFunctions']> = store.listFunctions(marker, PAGE_ITEMS);
    yield* page.items;
    marker = page.nextMarker;
    if (marker === null) return;
  }
}
