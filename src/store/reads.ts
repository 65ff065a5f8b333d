/** What is read of functions, layers and chains, from memory, and who hears of their changes: the same whatever keeps them there. */
import { assert } from '../base/assert.ts';
import { versionOf } from './functions.ts';
import type { FunctionState } from './functions.ts';
import { pageAfter, pageOfAllVersions, pageOfLayerVersions, pageOfVersions } from './pages.ts';
import type { Chain, FunctionRecord, FunctionVersion, LayerFilter, LayerVersion, Page } from './store.ts';

export interface FunctionIndex {
  get(functionName: string): FunctionState | undefined;
  /** In order. */
  names(): readonly string[];
}

export interface LayerIndex {
  /** In order of their numbers. */
  versionsOf(layerName: string): readonly LayerVersion[];
  /** In order. */
  names(): readonly string[];
}

export interface ChainIndex {
  get(chainName: string): Chain | undefined;
  /** In order. */
  names(): readonly string[];
}

export abstract class StoreReads {
  protected abstract readonly functions: FunctionIndex;
  protected abstract readonly layers: LayerIndex;
  protected abstract readonly chains: ChainIndex;
  readonly #listeners: ((functionName: string) => void)[] = [];
  readonly #layerListeners: ((layerName: string) => void)[] = [];
  readonly #chainListeners: ((chainName: string) => void)[] = [];

  onChange(listener: (functionName: string) => void): void {
    this.#listeners.push(listener);
  }

  onLayerChange(listener: (layerName: string) => void): void {
    this.#layerListeners.push(listener);
  }

  onChainChange(listener: (chainName: string) => void): void {
    this.#chainListeners.push(listener);
  }

  protected functionChanged(functionName: string): void {
    for (const listener of this.#listeners) listener(functionName);
  }

  protected layerChanged(layerName: string): void {
    for (const listener of this.#layerListeners) listener(layerName);
  }

  protected chainChanged(chainName: string): void {
    for (const listener of this.#chainListeners) listener(chainName);
  }

  getFunction(functionName: string): FunctionRecord | null {
    return this.functions.get(functionName)?.record ?? null;
  }

  getVersion(functionName: string, version: string): FunctionVersion | null {
    const state = this.functions.get(functionName);
    return state ? versionOf(state, version) : null;
  }

  listFunctions(marker: string | null, max: number): Page<FunctionRecord> {
    const { items, nextMarker } = pageAfter(this.functions.names(), marker, max);
    return { items: items.map((name) => this.#stateOf(name).record), nextMarker };
  }

  listVersions(functionName: string, marker: string | null, max: number): Page<FunctionVersion> {
    const state = this.functions.get(functionName);
    return state ? pageOfVersions(state, marker, max) : { items: [], nextMarker: null };
  }

  listAllVersions(marker: string | null, max: number): Page<FunctionVersion> {
    return pageOfAllVersions(this.functions.names(), (name) => this.#stateOf(name), marker, max);
  }

  getLayerVersion(layerName: string, version: number): LayerVersion | null {
    return this.layers.versionsOf(layerName).find((each) => each.version === version) ?? null;
  }

  listLayerVersions(layerName: string, filter: LayerFilter, marker: string | null, max: number): Page<LayerVersion> {
    return pageOfLayerVersions(this.layers.versionsOf(layerName), filter, marker, max);
  }

  listLayers(filter: LayerFilter, marker: string | null, max: number): Page<LayerVersion> {
    const newest = (name: string): LayerVersion | undefined => this.layers.versionsOf(name).findLast(filter);
    const names = this.layers.names().filter((name) => newest(name) !== undefined);
    const { items, nextMarker } = pageAfter(names, marker, max);
    return { items: items.map((name) => newest(name)!), nextMarker };
  }

  getChain(chainName: string): Chain | null {
    return this.chains.get(chainName) ?? null;
  }

  listChains(marker: string | null, max: number): Page<Chain> {
    const { items, nextMarker } = pageAfter(this.chains.names(), marker, max);
    return { items: items.map((name) => this.chains.get(name)!), nextMarker };
  }

  #stateOf(name: string): FunctionState {
    const state = this.functions.get(name);
    assert(state !== undefined, `function ${name} is listed and not there`);
    return state;
  }
}
