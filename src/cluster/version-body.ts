/** What a worker is told of a version, as JSON: the payload of SET_VERSION, and the store's answer to who asks by key. */
import { isObject, parseJson } from '../base/json.ts';
import { type Isolation, ISOLATIONS } from '../store/settings.ts';
import type { FunctionVersion } from '../store/store.ts';

export interface VersionBody {
  readonly fn: FunctionVersion;
  readonly isolation: Isolation;
  /** HOST:PORT of workers that have its code, the likeliest first; a few, or none. */
  readonly peers: readonly string[];
}

export function encodeVersion({ fn, isolation, peers }: VersionBody): Buffer {
  return Buffer.from(JSON.stringify({ fn, isolation, peers }));
}

/** Null where it is none. It comes from a node of the cluster: its form is looked at, not each of its values. */
export function decodeVersion(bytes: Buffer): VersionBody | null {
  const value = parseJson(bytes.toString('utf8'));
  if (!isObject(value) || !isObject(value['fn'])) return null;
  const { fn, isolation, peers } = value;
  const { functionName, version, revisionId, config, code } = fn as Readonly<Record<string, unknown>>;
  const texts = [functionName, version, revisionId];
  if (!texts.every((text) => typeof text === 'string') || !isObject(config) || !isObject(code)) return null;
  if (!ISOLATIONS.includes(isolation as Isolation)) return null;
  if (!Array.isArray(peers) || !peers.every((peer) => typeof peer === 'string')) return null;
  return value as unknown as VersionBody;
}
