/**
 * What a worker is told of a version, looked at before anything of it is used: that it is the version of its key, and that its
 * values are such as a worker can use. It comes from a node of the cluster, so what is wrong is a bug or another version of Perch.
 */
import type { UserError } from '../../base/errors.ts';
import { decodeVersion, type VersionBody } from '../../cluster/version-body.ts';
import { functionKey, versionKey } from '../../cluster/version-key.ts';
import type { FunctionVersion } from '../../store/store.ts';
import type { Described } from './ports.ts';

const SHA256 = /^[0-9a-f]{64}$/;
const MEMORY_MB_END = 2 ** 31;

export interface DescribeSetting {
  readonly accountId: string;
  /** What this worker cannot run; null where it can. */
  readonly refuse: (fn: FunctionVersion) => UserError | null;
  /** Who may have its code. */
  readonly peers: (fn: FunctionVersion, peers: readonly string[]) => void;
}

/** Null where it is no version, or not the one of the key. */
export function describe(key: string, body: Buffer, setting: DescribeSetting): Described | null {
  const decoded = decodeVersion(body);
  if (decoded === null || !isUsable(decoded.fn)) return null;
  const { fn, isolation, peers }: VersionBody = decoded;
  if (versionKey(setting.accountId, fn, isolation) !== key) return null;
  setting.peers(fn, peers);
  return {
    key,
    functionKey: functionKey(setting.accountId, fn.functionName),
    fn,
    isolation,
    refusal: setting.refuse(fn),
  };
}

function isUsable({ config, code }: FunctionVersion): boolean {
  const { memoryMb, timeoutS, environment, layers, handler, runtime } = config;
  if (!isCount(memoryMb, MEMORY_MB_END) || !isCount(timeoutS, MEMORY_MB_END)) return false;
  if (typeof handler !== 'string' || typeof runtime !== 'string' || !SHA256.test(code.sha256)) return false;
  if (typeof environment !== 'object' || environment === null || !Array.isArray(layers)) return false;
  if (!Object.values(environment).every((value) => typeof value === 'string')) return false;
  return layers.every((layer) => SHA256.test(layer?.code?.sha256 ?? ''));
}

function isCount(value: unknown, end: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < end;
}
