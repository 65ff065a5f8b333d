/** Lists by pages. A marker is the last item of the page before, so that what comes and goes in between shifts nothing. */
import type { FunctionVersion, LayerFilter, LayerVersion, Page } from './store.ts';
import { versionNumber, versionsOf } from './functions.ts';
import type { FunctionState } from './functions.ts';

/** `keys` are in order; the page begins after `marker`, whether or not that is still there. */
export function pageAfter(keys: readonly string[], marker: string | null, max: number): Page<string> {
  const start = marker === null ? 0 : firstAfter(keys, marker);
  const items = keys.slice(start, start + max);
  const more = start + max < keys.length;
  return { items, nextMarker: more ? (items.at(-1) ?? marker) : null };
}

export function pageOfVersions(state: FunctionState, marker: string | null, max: number): Page<FunctionVersion> {
  const after = marker === null ? -1 : versionNumber(marker);
  const rest = versionsOf(state).filter((version) => versionNumber(version.version) > after);
  const items = rest.slice(0, max);
  return { items, nextMarker: rest.length > max ? (items.at(-1)?.version ?? marker) : null };
}

/** The newest first; markers are numbers. */
export function pageOfLayerVersions(
  versions: readonly LayerVersion[],
  filter: LayerFilter,
  marker: string | null,
  max: number,
): Page<LayerVersion> {
  const before = marker === null ? Infinity : Number(marker);
  const rest = versions.filter((each) => each.version < before && filter(each)).toReversed();
  const items = rest.slice(0, max);
  return { items, nextMarker: rest.length > max ? String(items.at(-1)!.version) : null };
}

/** Markers are NAME:VERSION. */
export function pageOfAllVersions(
  names: readonly string[],
  stateOf: (name: string) => FunctionState,
  marker: string | null,
  max: number,
): Page<FunctionVersion> {
  const colon = marker?.indexOf(':') ?? -1;
  const name = colon < 0 ? marker : marker!.slice(0, colon);
  const items: FunctionVersion[] = [];
  if (name !== null && colon >= 0 && names.includes(name)) {
    items.push(...pageOfVersions(stateOf(name), marker!.slice(colon + 1), max + 1).items);
  }
  let index = name === null ? 0 : firstAfter(names, name);
  for (; index < names.length && items.length <= max; index++) {
    items.push(...pageOfVersions(stateOf(names[index]!), null, max + 1 - items.length).items);
  }
  const shown = items.slice(0, max);
  const last = shown.at(-1);
  return { items: shown, nextMarker: items.length > max && last ? `${last.functionName}:${last.version}` : null };
}

function firstAfter(keys: readonly string[], marker: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! > marker) high = middle;
    else low = middle + 1;
  }
  return low;
}
