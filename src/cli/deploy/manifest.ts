/** perch.json: many functions in one folder, and how each is set up. docs/CLI.md describes it for users. */
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { LIMITS } from '../../base/limits.ts';
import { CORES_MAX, ISOLATIONS, NETWORKS, SHARINGS } from '../../store/settings.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import type { PlannedChain } from './chains.ts';
import { layerAt } from './layers.ts';
import { inWords } from './manifest-words.ts';
import type { Plan } from './plan.ts';
import { perchVariables, sourceAt } from './plan.ts';

const functionSchema = z.strictObject({
  entry: z.string().min(1),
  handler: z.string().min(1).max(LIMITS.handlerLengthMax).optional(),
  runtime: z.string().optional(),
  description: z.string().max(LIMITS.descriptionLengthMax).optional(),
  memory: z.int().min(LIMITS.memoryMbMin).max(LIMITS.memoryMbMax).optional(),
  timeout: z.int().min(1).max(LIMITS.timeoutSMax).optional(),
  environment: z.record(z.string(), z.string()).optional(),
  concurrency: z.int().min(0).nullable().optional(),
  provisioned: z.int().min(1).nullable().optional(),
  isolation: z.enum(ISOLATIONS).optional(),
  network: z.enum(NETWORKS).optional(),
  cores: z.int().min(1).max(CORES_MAX).optional(),
  sharing: z.enum(SHARINGS).optional(),
  layers: z.array(z.string().min(1)).max(LIMITS.layersPerFunctionMax).optional(),
  external: z.array(z.string()).optional(),
  bundle: z.boolean().optional(),
});

const chainSchema = z.strictObject({
  steps: z.array(z.string().min(1)).min(1).max(LIMITS.chainStepsMax),
});

const manifestSchema = z.strictObject({
  $schema: z.string().optional(),
  functions: z.record(
    z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'a function name has 1 to 64 letters, digits, - and _'),
    functionSchema,
  ),
  chains: z
    .record(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'a chain name has 1 to 64 letters, digits, - and _'), chainSchema)
    .optional(),
});

type FunctionEntry = z.infer<typeof functionSchema>;

export interface Manifest {
  readonly plans: readonly Plan[];
  /** In their order; each of functions above, or of some that the platform has already. */
  readonly chains: readonly PlannedChain[];
}

/** The functions alone. */
export function readManifest(file: string): readonly Plan[] {
  return readWholeManifest(file).plans;
}

export function readWholeManifest(file: string): Manifest {
  const shown = relative(process.cwd(), file) || file;
  const text = readFileSync(file, 'utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CliError(EXIT.usage, `${shown} is not JSON: ${(error as Error).message.replace(/\s+/g, ' ')}`);
  }
  const parsed = manifestSchema.safeParse(json, { error: inWords });
  if (!parsed.success) throw invalid(shown, text, parsed.error.issues);
  const plans = Object.entries(parsed.data.functions).map(([name, entry]) => toPlan(name, entry, dirname(file)));
  if (plans.length === 0) throw new CliError(EXIT.usage, `${shown} has no functions; add one under "functions"`);
  const chains = Object.entries(parsed.data.chains ?? {}).map(([name, { steps }]) => ({ name, steps }));
  return { plans, chains };
}

function toPlan(name: string, entry: FunctionEntry, folder: string): Plan {
  return {
    name,
    source: sourceAt(join(folder, entry.entry), { asIs: entry.bundle === false, runtime: entry.runtime }),
    ...(entry.handler !== undefined && { handler: entry.handler }),
    external: entry.external ?? [],
    settings: {
      ...(entry.runtime !== undefined && { Runtime: entry.runtime }),
      ...(entry.description !== undefined && { Description: entry.description }),
      ...(entry.memory !== undefined && { MemorySize: entry.memory }),
      ...(entry.timeout !== undefined && { Timeout: entry.timeout }),
      ...(entry.environment !== undefined && { Environment: { Variables: entry.environment } }),
    },
    perchVariables: perchVariables(entry),
    ...(entry.layers !== undefined && { layers: entry.layers.map((layer) => layerAt(layer, folder)) }),
    ...(entry.concurrency !== undefined && { concurrency: entry.concurrency }),
    ...(entry.provisioned !== undefined && { provisioned: entry.provisioned }),
  };
}

function invalid(shown: string, text: string, issues: readonly z.core.$ZodIssue[]): CliError {
  const [first] = issues;
  const lines = issues.slice(1).map((issue) => `  ${place(shown, text, issue)}: ${issue.message}\n`);
  return new CliError(
    EXIT.usage,
    first === undefined ? shown : `${place(shown, text, first)}: ${first.message}`,
    lines.join(''),
  );
}

/** file:line of the innermost key of the path that can be found, and the path itself. */
function place(shown: string, text: string, issue: z.core.$ZodIssue): string {
  const keys = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]] : issue.path;
  let offset = 0;
  for (const key of keys) {
    if (typeof key !== 'string') continue;
    const found = text.indexOf(JSON.stringify(key), offset);
    if (found === -1) break;
    offset = found;
  }
  return `${shown}:${text.slice(0, offset).split('\n').length} (${issue.path.join('.') || 'top level'})`;
}
