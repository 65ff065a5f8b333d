/** How clients name layers and their versions, and the ARNs we answer with. */
import type { Account } from '../../base/arn.ts';
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { checkString } from './constraints.ts';
import type { StringSpec } from './constraints.ts';

const ARN_PATTERN = 'arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\\d{12}:layer:[a-zA-Z0-9-_]+';

const LAYER_NAME: StringSpec = {
  type: 'string',
  required: true,
  lengthMin: 1,
  lengthMax: LIMITS.layerNameLengthMax,
  pattern: `(${ARN_PATTERN})|[a-zA-Z0-9-_]+`,
};

export const LAYER_VERSION_ARN = {
  type: 'string',
  lengthMin: 1,
  lengthMax: 140,
  pattern: `${ARN_PATTERN}:[0-9]+`,
} as const;

export interface LayerVersionRef {
  readonly layerName: string;
  readonly version: number;
}

export function layerArn(account: Account, layerName: string): string {
  return `arn:aws:lambda:${account.region}:${account.accountId}:layer:${layerName}`;
}

export function layerVersionArn(account: Account, ref: LayerVersionRef): string {
  return `${layerArn(account, ref.layerName)}:${ref.version}`;
}

export function layerNotFound(): UserError {
  return new UserError('ResourceNotFoundException', 'The resource you requested does not exist.');
}

/** A name or an ARN, from the path. */
export function parseLayerName(account: Account, raw: string): string | UserError {
  const bad = checkString(LAYER_NAME, raw, 'layerName');
  if (bad !== null) return bad;
  const name = raw.slice(raw.lastIndexOf(':') + 1);
  return raw === name || raw === layerArn(account, name) ? name : layerNotFound();
}

/** From the path. */
export function parseLayerVersion(text: string): number | UserError {
  if (!/^-?\d{1,15}$/.test(text)) {
    return new UserError(
      'SerializationException',
      `Value '${text.slice(0, 256)}' at 'versionNumber' can not be converted to a Long`,
    );
  }
  const version = Number(text);
  return version >= 1
    ? version
    : new UserError('InvalidParameterValueException', 'Layer Version Cannot be less than 1.');
}

/** Null where it is of another account. The ARN fits its pattern. */
export function parseLayerVersionArn(account: Account, arn: string): LayerVersionRef | null {
  const [layerName = '', version = ''] = arn.split(':').slice(-2);
  const ref = { layerName, version: Number(version) };
  return arn.startsWith(`${layerArn(account, layerName)}:`) ? ref : null;
}

/** Fourth part of an ARN. */
export function regionOf(arn: string): string {
  return arn.split(':')[3] ?? '';
}
