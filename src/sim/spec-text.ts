/** What people write: `NAME` or `NAME:option=value,option=value`. */
import type { OptionSpec, OptionSpecs, OptionValues } from './policy.ts';
import { SpecError } from './spec-error.ts';

export interface SpecText {
  readonly name: string;
  readonly given: ReadonlyMap<string, string>;
}

export function parseSpec(text: string): SpecText {
  const [, name = '', rest = ''] = /^([^:]*):?(.*)$/s.exec(text) ?? [];
  const given = new Map<string, string>();
  for (const part of rest.split(',').filter((each) => each !== '')) {
    const at = part.indexOf('=');
    if (at <= 0) throw new SpecError(`'${part}' in '${text}': options are written NAME:option=value,option=value`);
    const key = part.slice(0, at);
    if (given.has(key)) throw new SpecError(`'${key}' is given twice in '${text}'`);
    given.set(key, part.slice(at + 1));
  }
  return { name, given };
}

export function valuesOf(what: string, specs: OptionSpecs, given: ReadonlyMap<string, string>): OptionValues {
  for (const key of given.keys()) {
    if (Object.hasOwn(specs, key)) continue;
    const names = Object.keys(specs);
    throw new SpecError(`${what} has no option ${key}: ${names.length === 0 ? 'it has none' : names.join(', ')}`);
  }
  return Object.fromEntries(
    Object.entries(specs).map(([key, spec]) => {
      const text = given.get(key);
      return [key, text === undefined ? spec.default : valueOf(`${what}, option ${key}`, spec, text)];
    }),
  );
}

function valueOf(what: string, spec: OptionSpec, text: string): number | string {
  if (typeof spec.default === 'string') {
    if (spec.choices === undefined || spec.choices.includes(text)) return text;
    throw new SpecError(`${what} is '${text}': it may be ${spec.choices.join(', ')}`);
  }
  const value = Number(text);
  const { min = -Infinity, max = Infinity, isWhole = false } = spec;
  const isRight = text.trim() !== '' && value >= min && value <= max;
  if (isRight && (!isWhole || Number.isInteger(value))) return value;
  const range = min === -Infinity && max === Infinity ? '' : ` from ${min} to ${max}`;
  throw new SpecError(`${what} is '${text}': it has to be a ${isWhole ? 'whole ' : ''}number${range}`);
}
