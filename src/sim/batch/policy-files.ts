/**
 * Policies from outside of this repository: modules that export a `PolicyKind`, as their default or under any names. They import what
 * they need from `perch/sim` (../index.ts), wherever they lie; a loader that is asked for this name answers with the simulator that runs.
 */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { POLICIES } from '../policies/index.ts';
import type { OptionSpec, PolicyKind } from '../policy.ts';
import { SpecError } from '../spec.ts';

const OWN_NAME = 'perch/sim';
const NAME = /^[a-z][a-z0-9-]*$/;
/** What can stand before a = on the command line. */
const OPTION_NAME = /^[A-Za-z][A-Za-z0-9-]*$/;

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
  for (const kind of kinds) {
    for (const [name, option] of Object.entries<unknown>(kind.options)) {
      const wrong = OPTION_NAME.test(name) ? wrongWith(option) : "a name has letters, digits and '-'";
      if (wrong !== null) throw new SpecError(`${file}: policy ${kind.name}, option '${name}': ${wrong}`);
    }
  }
  return kinds;
}

/** What an option says of itself is what its values are checked against; null: it is as `OptionSpec` has it. */
function wrongWith(option: unknown): string | null {
  if (typeof option !== 'object' || option === null) return 'it has to be an object: { help, default }';
  const { help, default: usual, ...limits } = option as Partial<Record<keyof OptionSpec, unknown>>;
  if (typeof help !== 'string') return 'its help has to be a text';
  if (typeof usual === 'string') return wrongText(usual, limits);
  if (typeof usual === 'number' && Number.isFinite(usual)) return wrongNumber(usual, limits);
  return 'its default has to be a number or a text';
}

type Limits = Partial<Record<'min' | 'max' | 'isWhole' | 'choices', unknown>>;

function wrongText(usual: string, { choices, ...others }: Limits): string | null {
  if (Object.keys(others).length > 0) return `${Object.keys(others)[0]} is for an option whose default is a number`;
  if (choices === undefined) return null;
  const isList = Array.isArray(choices) && choices.every((each) => typeof each === 'string');
  if (!isList) return 'its choices have to be a list of texts';
  return choices.includes(usual) ? null : `its default '${usual}' is none of its choices`;
}

function wrongNumber(
  usual: number,
  { min = -Infinity, max = Infinity, isWhole = false, choices }: Limits,
): string | null {
  if (choices !== undefined) return 'choices are for an option whose default is a text';
  if (typeof isWhole !== 'boolean') return 'its isWhole has to be true or false';
  if (typeof min !== 'number' || typeof max !== 'number') return 'its min and max have to be numbers';
  const isIn = usual >= min && usual <= max && (!isWhole || Number.isInteger(usual));
  return isIn ? null : `its default ${usual} is none of the values that it may have`;
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
