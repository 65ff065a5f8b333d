/**
 * Policies from outside of this repository: modules that export a `PolicyKind`, as their default or under any names. They import what
 * they need from `perch/sim` (../index.ts), wherever they lie; a loader that is asked for this name answers with the simulator that runs.
 */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { POLICIES } from '../policies/index.ts';
import type { PolicyKind } from '../policy.ts';
import { SpecError } from '../spec.ts';

const OWN_NAME = 'perch/sim';
const NAME = /^[a-z][a-z0-9-]*$/;

let isHooked = false;

/** All that there are: the simulator's own, then those of the files in their order. */
export async function policiesOf(files: readonly string[]): Promise<readonly PolicyKind[]> {
  const policies = [...POLICIES];
  for (const file of files) {
    for (const kind of await kindsIn(file)) {
      if (policies.some(({ name }) => name === kind.name)) {
        throw new SpecError(`${file}: there is a policy ${kind.name} already; give it another name`);
      }
      policies.push(kind);
    }
  }
  return policies;
}

async function kindsIn(file: string): Promise<readonly PolicyKind[]> {
  hook();
  const module = await load(file);
  const kinds = [...new Set(Object.values(module))].filter(isKind);
  if (kinds.length === 0) {
    throw new SpecError(
      `${file} exports no policy: an object with name, summary, source, options and make(world, options)`,
    );
  }
  const unnamed = kinds.find(({ name }) => !NAME.test(name));
  if (unnamed !== undefined) {
    throw new SpecError(`${file}: a policy is named '${unnamed.name}'; a name has small letters, digits and '-'`);
  }
  return kinds;
}

async function load(file: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (error) {
    throw new SpecError(`${file} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function isKind(value: unknown): value is PolicyKind {
  if (typeof value !== 'object' || value === null) return false;
  const { name, summary, source, options, make } = value as Partial<Record<keyof PolicyKind, unknown>>;
  const isText = [name, summary, source].every((each) => typeof each === 'string');
  return isText && typeof options === 'object' && options !== null && typeof make === 'function';
}

function hook(): void {
  if (isHooked) return;
  isHooked = true;
  const url = new URL('../index.ts', import.meta.url).href;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === OWN_NAME ? { url, shortCircuit: true } : next(specifier, context),
  });
}
