/** From the bytes of a request to checked fields. */
import { isUtf8 } from 'node:buffer';
import { UserError } from '../../base/errors.ts';
import type { FieldSpec, FieldsOf } from './constraints.ts';
import { checkFields } from './constraints.ts';

/** No body at all counts as an empty object. */
export function parseFields<const F extends Readonly<Record<string, FieldSpec>>>(
  fields: F,
  body: Buffer,
): FieldsOf<F> | UserError {
  const value = parseJson(body);
  return value instanceof UserError ? value : checkFields(fields, value);
}

function parseJson(body: Buffer): unknown {
  if (body.length === 0) return {};
  const fault = jsonFault(body);
  if (fault !== null) return fault;
  return JSON.parse(body.toString('utf8')) ?? {};
}

/** Why the bytes are no JSON text, or null if they are. */
export function jsonFault(body: Buffer): UserError | null {
  if (!isUtf8(body)) return notJson('the body is not UTF-8');
  try {
    JSON.parse(body.toString('utf8'));
    return null;
  } catch (error) {
    return notJson((error as SyntaxError).message);
  }
}

export function notJson(why: string): UserError {
  return new UserError('InvalidRequestContentException', `Could not parse request body into json: ${why}`);
}

/** Base64 of a field. The decoder skips what it does not know, so the length tells whether all was known. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const characters = text.length - padding;
  return bytes.length === Math.floor((characters * 3) / 4) && characters % 4 !== 1 ? bytes : null;
}
