/**
 * The shapes of requests as data, checked as Lambda checks them: first every type (a wrong one is a
 * SerializationException, alone), then every constraint, all violations counted in one ValidationException.
 * Fields that no shape names are ignored, as Lambda ignores what it does not know.
 */
import { isObject } from '../../base/json.ts';
import { UserError } from '../../base/errors.ts';
import { unreachable } from '../../base/assert.ts';

export interface StringSpec {
  readonly type: 'string';
  readonly required?: boolean;
  readonly lengthMin?: number;
  readonly lengthMax?: number;
  /** Source of the regular expression, shown to the user and matched against the whole value. */
  readonly pattern?: string;
  readonly values?: readonly string[];
}

export type FieldSpec =
  | StringSpec
  | { readonly type: 'integer'; readonly required?: boolean; readonly min?: number; readonly max?: number }
  | { readonly type: 'boolean'; readonly required?: boolean }
  | {
      readonly type: 'list';
      readonly required?: boolean;
      readonly item: FieldSpec;
      readonly countMin?: number;
      readonly countMax?: number;
    }
  | { readonly type: 'map'; readonly required?: boolean; readonly key: StringSpec; readonly value: StringSpec }
  | { readonly type: 'structure'; readonly required?: boolean; readonly fields: Readonly<Record<string, FieldSpec>> };

/** What a request has, once its shape was checked. */
export type ValueOf<S> = S extends { type: 'string'; values: readonly (infer V)[] }
  ? V
  : S extends { type: 'string' }
    ? string
    : S extends { type: 'integer' }
      ? number
      : S extends { type: 'boolean' }
        ? boolean
        : S extends { type: 'list'; item: infer I }
          ? readonly ValueOf<I>[]
          : S extends { type: 'map' }
            ? Readonly<Record<string, string>>
            : S extends { type: 'structure'; fields: infer F }
              ? FieldsOf<F>
              : never;

export type FieldsOf<F> = {
  readonly [K in keyof F as F[K] extends { required: true } ? K : never]: ValueOf<F[K]>;
} & {
  readonly [K in keyof F as F[K] extends { required: true } ? never : K]?: ValueOf<F[K]> | undefined;
};

type Fields = Readonly<Record<string, FieldSpec>>;

/** Checks `value` (parsed JSON, or what came in a path) against the shape. Nulls count as absent. */
export function checkFields<const F extends Fields>(fields: F, value: unknown): FieldsOf<F> | UserError {
  const given = (value ?? {}) as Record<string, unknown>;
  const mismatch = typeMismatch({ type: 'structure', fields }, given, '');
  if (mismatch !== null) return new UserError('SerializationException', mismatch);
  const violations: string[] = [];
  constrainFields(fields, given, '', violations);
  if (violations.length > 0) return validationError(violations);
  return given as FieldsOf<F>;
}

/** One value from a path, a query or a header. */
export function checkString(spec: StringSpec, value: string | undefined, name: string): UserError | null {
  const violations: string[] = [];
  constrain(spec, value, name, violations);
  return violations.length > 0 ? validationError(violations) : null;
}

/** An integer from a query string. */
export function checkQueryInteger(
  text: string | null,
  name: string,
  range: { min: number; max: number },
): number | null | UserError {
  if (text === null || text === '') return null;
  if (!/^-?\d{1,15}$/.test(text)) {
    return new UserError(
      'SerializationException',
      `Value '${shown(text)}' at '${name}' can not be converted to an Integer`,
    );
  }
  const violations: string[] = [];
  constrain({ type: 'integer', ...range }, Number(text), name, violations);
  return violations.length > 0 ? validationError(violations) : Number(text);
}

export function validationError(violations: readonly string[]): UserError {
  const count = violations.length === 1 ? '1 validation error' : `${violations.length} validation errors`;
  return new UserError('ValidationException', `${count} detected: ${violations.join('; ')}`);
}

// Types

const TYPE_NAMES = { string: 'a String', integer: 'an Integer', boolean: 'a Boolean' } as const;

/** What is wrong, in the words of Lambda's parser, with the place added; null if nothing is. */
function typeMismatch(spec: FieldSpec, value: unknown, path: string): string | null {
  if (value === undefined || value === null) return null;
  switch (spec.type) {
    case 'string':
    case 'integer':
    case 'boolean':
      return scalarMismatch(spec.type, value, path);
    case 'list': {
      if (!Array.isArray(value)) return `Expected list or null${at(path)}`;
      return firstMismatch(value.entries(), (item, index) =>
        memberMismatch(spec.item, item, `${path}.${index + 1}.member`),
      );
    }
    case 'map': {
      if (!isObject(value)) return `Expected map or null${at(path)}`;
      return firstMismatch(Object.entries(value), (item, key) => memberMismatch(spec.value, item, `${path}.${key}`));
    }
    case 'structure': {
      if (!isObject(value)) return `Unexpected value: expected a structure${at(path)}`;
      return firstMismatch(Object.entries(spec.fields), (field, name) =>
        typeMismatch(field, value[name], joined(path, name)),
      );
    }
    default:
      return unreachable(spec);
  }
}

/** A null in a list or map is not an absent field: it would be stored. */
function memberMismatch(spec: FieldSpec, item: unknown, path: string): string | null {
  return item === null ? `NULL_VALUE found where not expected${at(path)}` : typeMismatch(spec, item, path);
}

function scalarMismatch(type: 'string' | 'integer' | 'boolean', value: unknown, path: string): string | null {
  if (Array.isArray(value)) return `Start of list found where not expected${at(path)}`;
  if (typeof value === 'object') return `Start of structure or map found where not expected${at(path)}`;
  const fits = type === 'integer' ? Number.isSafeInteger(value) : typeof value === type;
  if (fits) return null;
  const found =
    typeof value === 'boolean' ? (value ? 'TRUE_VALUE' : 'FALSE_VALUE') : `${typeof value}_VALUE`.toUpperCase();
  return `${found} can not be converted to ${TYPE_NAMES[type]}${at(path)}`;
}

function firstMismatch<K, T>(entries: Iterable<[K, T]>, check: (value: T, key: K) => string | null): string | null {
  for (const [key, value] of entries) {
    const mismatch = check(value, key);
    if (mismatch !== null) return mismatch;
  }
  return null;
}

// Constraints

function constrainFields(fields: Fields, value: Record<string, unknown>, path: string, violations: string[]): void {
  for (const [name, spec] of Object.entries(fields)) constrain(spec, value[name], joined(path, name), violations);
}

function constrain(spec: FieldSpec, value: unknown, path: string, violations: string[]): void {
  if (value === undefined || value === null) {
    if (spec.required === true)
      violations.push(`Value null at '${path}' failed to satisfy constraint: Member must not be null`);
    return;
  }
  for (const demand of unmet(spec, value)) {
    violations.push(`Value '${shown(value)}' at '${path}' failed to satisfy constraint: ${demand}`);
  }
  if (spec.type === 'structure') constrainFields(spec.fields, value as Record<string, unknown>, path, violations);
  if (spec.type === 'list' && spec.item.type === 'structure') {
    const { fields } = spec.item;
    (value as unknown[]).forEach((item, index) =>
      constrainFields(fields, item as Record<string, unknown>, `${path}.${index + 1}.member`, violations),
    );
  }
}

/** What the value would have to satisfy and does not. */
function unmet(spec: FieldSpec, value: unknown): string[] {
  switch (spec.type) {
    case 'string':
      return unmetString(spec, value as string);
    case 'integer':
      return unmetRange(value as number, 'value', spec.min, spec.max);
    case 'list': {
      const items = value as unknown[];
      const inner = spec.item.type === 'structure' ? [] : items.flatMap((item) => unmet(spec.item, item));
      const demands = unmetRange(items.length, 'length', spec.countMin, spec.countMax);
      return inner.length > 0 ? [...demands, `Member must satisfy constraint: [${unique(inner)}]`] : demands;
    }
    case 'map': {
      const keys = Object.keys(value as object).flatMap((key) => unmetString(spec.key, key));
      const values = Object.values(value as Record<string, string>).flatMap((item) => unmetString(spec.value, item));
      return [
        ...(keys.length > 0 ? [`Map keys must satisfy constraint: [${unique(keys)}]`] : []),
        ...(values.length > 0 ? [`Map value must satisfy constraint: [${unique(values)}]`] : []),
      ];
    }
    default:
      return [];
  }
}

function unmetString(spec: StringSpec, value: string): string[] {
  const demands = unmetRange(value.length, 'length', spec.lengthMin, spec.lengthMax);
  if (spec.pattern !== undefined && !new RegExp(`^(?:${spec.pattern})$`).test(value)) {
    demands.push(`Member must satisfy regular expression pattern: ${spec.pattern}`);
  }
  if (spec.values !== undefined && !spec.values.includes(value)) {
    demands.push(`Member must satisfy enum value set: [${spec.values.join(', ')}]`);
  }
  return demands;
}

function unmetRange(
  value: number,
  what: 'value' | 'length',
  min: number | undefined,
  max: number | undefined,
): string[] {
  if (min !== undefined && value < min) return [`Member must have ${what} greater than or equal to ${min}`];
  if (max !== undefined && value > max) return [`Member must have ${what} less than or equal to ${max}`];
  return [];
}

// Words

/** Values are shown shortened, and maps by their keys alone: what a map holds may be secret. */
function shown(value: unknown): string {
  const text = Array.isArray(value)
    ? `[${value.join(', ')}]`
    : isObject(value)
      ? `{${Object.keys(value).join(', ')}}`
      : String(value);
  return text.length > 256 ? `${text.slice(0, 256)}…` : text;
}

function joined(path: string, name: string): string {
  const key = name.charAt(0).toLowerCase() + name.slice(1);
  return path === '' ? key : `${path}.${key}`;
}

function at(path: string): string {
  return path === '' ? '' : ` (at '${path}')`;
}

function unique(demands: readonly string[]): string {
  return [...new Set(demands)].join(', ');
}
