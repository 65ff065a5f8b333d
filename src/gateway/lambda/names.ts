/** How clients name functions: a name, `name:qualifier`, a partial ARN or a whole one; and the ARNs we answer with. */
import { functionArn, LATEST, type Account } from '../../base/arn.ts';
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { FunctionVersion } from '../../store/store.ts';
import { checkString, validationError } from './constraints.ts';
import type { StringSpec } from './constraints.ts';

export { functionArn, LATEST, type Account };

/** Lambda's own pattern, as its messages show it. */
const NAME_PATTERN =
  '(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?';

export const FUNCTION_NAME: StringSpec & { readonly required: true } = {
  type: 'string',
  required: true,
  lengthMin: 1,
  lengthMax: 140,
  pattern: NAME_PATTERN,
};

const QUALIFIER: StringSpec = { type: 'string', lengthMin: 1, lengthMax: 128, pattern: '[a-zA-Z0-9$_-]+' };

const PARTS = new RegExp(
  '^(?:arn:(?:aws[a-zA-Z-]*)?:lambda:)?(?:(?<region>[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\\d):)?(?:(?<account>\\d{12}):)?(?:function:)?(?<name>[a-zA-Z0-9_-]+)(?::(?<qualifier>\\$LATEST|[a-zA-Z0-9_-]+))?$',
);

/** Whose functions these are: what the ARNs say. */
export interface FunctionRef {
  readonly functionName: string;
  /** As the client gave it; null if it gave none. */
  readonly qualifier: string | null;
}

export function notFound(account: Account, ref: FunctionRef): UserError {
  return new UserError(
    'ResourceNotFoundException',
    `Function not found: ${functionArn(account, ref.functionName, ref.qualifier)}`,
  );
}

/** `raw` from the path (decoded) or the body; `qualifier` from the query, null if there is none. */
export function parseFunctionRef(account: Account, raw: string, qualifier: string | null): FunctionRef | UserError {
  const bad =
    checkString(FUNCTION_NAME, raw, 'functionName') ?? checkString(QUALIFIER, qualifier ?? undefined, 'qualifier');
  if (bad !== null) return bad;
  const parts = PARTS.exec(raw)?.groups;
  if (parts?.['name'] === undefined) return checkNameFails(raw);
  const functionName = parts['name'];
  if (functionName.length > LIMITS.functionNameLengthMax) {
    return validationError([
      `Value '${functionName}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to ${LIMITS.functionNameLengthMax}`,
    ]);
  }
  const inName = parts['qualifier'] ?? null;
  if (inName !== null && qualifier !== null && inName !== qualifier) {
    return new UserError(
      'InvalidParameterValueException',
      `The derived qualifier from the function name ('${inName}') does not match the specified qualifier ('${qualifier}').`,
    );
  }
  const ref = { functionName, qualifier: inName ?? qualifier };
  return isForeign(account, parts) ? new UserError('ResourceNotFoundException', `Function not found: ${raw}`) : ref;
}

function isForeign(account: Account, parts: Readonly<Record<string, string | undefined>>): boolean {
  const { region = account.region, account: accountId = account.accountId } = parts;
  return region !== account.region || accountId !== account.accountId;
}

function checkNameFails(raw: string): UserError {
  return validationError([
    `Value '${raw}' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: ${NAME_PATTERN}`,
  ]);
}

/** For operations on the function itself: a qualifier other than $LATEST makes no sense there. */
export function parseUnqualified(account: Account, raw: string): string | UserError {
  const ref = parseFunctionRef(account, raw, null);
  if (ref instanceof UserError) return ref;
  if (ref.qualifier !== null && ref.qualifier !== LATEST) {
    return new UserError(
      'InvalidParameterValueException',
      `This operation is for a whole function: remove the qualifier '${ref.qualifier}' from the function name.`,
    );
  }
  return ref.functionName;
}

/** The ARN of a version: $LATEST without its qualifier unless asked for. */
export function versionArn(account: Account, fn: FunctionVersion, qualified: boolean): string {
  return functionArn(account, fn.functionName, qualified ? fn.version : null);
}
