/**
 * Calls of the store as they travel. Who sends them is a gateway of the cluster, and has checked what its client said; here it is seen
 * that a call has the form that the store takes, so that a broken one is refused and not half done.
 */
import { isObject } from '../../base/json.ts';
import { NAME_PATTERN, SHA256_PATTERN } from './protocol.ts';

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string';
const name: Check = (value) => typeof value === 'string' && NAME_PATTERN.test(value);
const bool: Check = (value) => typeof value === 'boolean';
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const span: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const texts: Check = (value) => isObject(value) && Object.values(value).every(text);
const code: Check = form({ sha256: (value) => text(value) && SHA256_PATTERN.test(value as string), zipBytes: count });
const layerUse: Check = form({ layerName: name, version: count, code });
const config: Check = form({
  runtime: text,
  handler: text,
  role: text,
  description: text,
  timeoutS: count,
  memoryMb: count,
  ephemeralStorageMb: count,
  architecture: text,
  environment: texts,
  tracingMode: text,
  logFormat: text,
  deadLetterTargetArn: text,
  layers: listOf(layerUse),
});
const step: Check = form({ functionName: name, version: text });
const invocation: Check = form({
  id: text,
  functionName: (value) => value === '' || name(value),
  version: text,
  chain: maybe(form({ chainName: name, steps: listOf(step), at: count })),
  payload: text,
  clientContext: text,
  attempts: count,
  sinceMs: span,
  untilMs: span,
});

const knowledge: Check = form({ sources: orNull(listOf(text)), rules: orNull(text), plugin: orNull(text) });

const chain: Check = form({ chainName: name, steps: listOf(step) });

/** The arguments of each method, in order; the payloads of invocations are in base64. */
const METHODS = {
  unzippedBytes: [code],
  createFunction: [form({ functionName: name, config, code, tags: texts, publish: bool })],
  updateFunction: [
    form({ functionName: name, config: maybe(config), code: maybe(code), publish: bool, revisionId: maybe(text) }),
  ],
  publishVersion: [
    form({ functionName: name, description: maybe(text), revisionId: maybe(text), codeSha256: maybe(text) }),
  ],
  deleteFunction: [name, orNull(text)],
  setReservedConcurrency: [name, orNull(count)],
  setProvisioned: [name, text, orNull(count)],
  /** What they were (null: not known), and what they become. */
  setTags: [name, orNull(texts), texts],
  setKnowledge: [name, orNull(knowledge)],
  publishLayerVersion: [
    form({
      layerName: name,
      code,
      description: text,
      licenseInfo: text,
      compatibleRuntimes: listOf(text),
      compatibleArchitectures: listOf(text),
    }),
  ],
  deleteLayerVersion: [name, count],
  createChain: [chain],
  updateChain: [chain],
  deleteChain: [name],
  enqueue: [listOf(invocation)],
} as const satisfies Record<string, readonly Check[]>;

/** Besides these there is putCode, whose argument is the zip itself. */
export type JsonMethod = keyof typeof METHODS;
export type Method = JsonMethod | 'putCode';

export function isMethod(value: string): value is Method {
  return value === 'putCode' || Object.hasOwn(METHODS, value);
}

/** Null where they are not what the method takes. */
export function checkedArguments(method: JsonMethod, value: unknown): readonly unknown[] | null {
  const checks: readonly Check[] = METHODS[method];
  if (!Array.isArray(value) || value.length !== checks.length) return null;
  return checks.every((check, index) => check(value[index])) ? value : null;
}

/** An object whose fields are these, and which has no others. */
function form(fields: Readonly<Record<string, Check>>): Check {
  const checks = Object.entries(fields);
  return (value) =>
    isObject(value) &&
    checks.every(([field, check]) => check(value[field])) &&
    Object.keys(value).every((field) => Object.hasOwn(fields, field));
}

function maybe(check: Check): Check {
  return (value) => value === undefined || check(value);
}

function orNull(check: Check): Check {
  return (value) => value === null || check(value);
}

function listOf(check: Check): Check {
  return (value) => Array.isArray(value) && value.every(check);
}
