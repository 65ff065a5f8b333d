/** What a worker is told of what an operator says of a function, as JSON: the payload of KNOWLEDGE. */
import { isObject, parseJson } from '../base/json.ts';
import type { FunctionKnowledge } from '../store/store.ts';

export interface KnowledgeBody {
  readonly functionName: string;
  /** Since when, as the store counts: of what comes on several ways the latest is right. */
  readonly atMs: number;
  /** Null: nothing is said. */
  readonly knowledge: FunctionKnowledge | null;
}

export function encodeKnowledge({ functionName, atMs, knowledge }: KnowledgeBody): Buffer {
  return Buffer.from(JSON.stringify({ functionName, atMs, knowledge }));
}

/** Null where it is none. What rules and plug-ins hold is looked at by whoever uses them. */
export function decodeKnowledge(bytes: Buffer): KnowledgeBody | null {
  const value = parseJson(bytes.toString('utf8'));
  if (!isObject(value)) return null;
  const { functionName, atMs, knowledge } = value;
  if (typeof functionName !== 'string' || typeof atMs !== 'number') return null;
  if (knowledge === null) return { functionName, atMs, knowledge };
  return isKnowledge(knowledge) ? { functionName, atMs, knowledge } : null;
}

function isKnowledge(value: unknown): value is FunctionKnowledge {
  if (!isObject(value)) return false;
  const { sources, rules, plugin } = value;
  const isText = (each: unknown): boolean => each === null || typeof each === 'string';
  const isList = sources === null || (Array.isArray(sources) && sources.every((each) => typeof each === 'string'));
  return isList && isText(rules) && isText(plugin);
}
