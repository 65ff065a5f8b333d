/**
 * AWS Signature Version 4, both ways: the command line signs with it, the gateway verifies. Service `lambda`, any
 * region. What a signature must cover here: the host, the date, every `x-amz-` header and the hash of the body;
 * `UNSIGNED-PAYLOAD` and the streaming forms are refused, since the connection may be plain HTTP.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { UserError } from '../base/errors.ts';

const ALGORITHM = 'AWS4-HMAC-SHA256';
const SERVICE = 'lambda';
const CLOCK_SKEW_MS = 15 * 60 * 1000;

export interface SignedRequest {
  readonly method: string;
  /** Path and query, as sent. */
  readonly target: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export function sha256Hex(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The headers to add to a request. `headers` of the request must have its `host`; all of them are signed. */
export function sign(
  request: SignedRequest,
  body: Buffer | string,
  key: AccessKey,
  scope: { region: string; nowMs: number },
): Record<string, string> {
  const date = new Date(scope.nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const bodyHash = sha256Hex(body);
  const added = { 'x-amz-date': date, 'x-amz-content-sha256': bodyHash };
  const headers = { ...request.headers, ...added };
  const names = Object.keys(headers).sort();
  const scopeText = `${date.slice(0, 8)}/${scope.region}/${SERVICE}/aws4_request`;
  const signature = calculate(
    { ...request, headers },
    { names, bodyHash, date, scope: scopeText },
    key.secretAccessKey,
  );
  const authorization = `${ALGORITHM} Credential=${key.accessKeyId}/${scopeText}, SignedHeaders=${names.join(';')}, Signature=${signature.toString('hex')}`;
  return { ...added, authorization };
}

/** What a request claims about its signature, from its headers alone. */
export interface Claim {
  readonly secretAccessKey: string;
  readonly names: readonly string[];
  readonly date: string;
  readonly scope: string;
  readonly signature: Buffer;
}

/** Before the body is read: is it signed, by a known key, in time, over all that it must cover? */
export function readClaim(request: SignedRequest, keys: ReadonlyMap<string, string>, nowMs: number): Claim | UserError {
  const header = single(request.headers['authorization']);
  if (header === undefined) {
    return new UserError(
      'MissingAuthenticationTokenException',
      'Missing Authentication Token: sign the request with the access key of this gateway.',
    );
  }
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8}\/[a-z0-9-]+\/([a-z0-9-]+)\/aws4_request),\s*SignedHeaders=([a-z0-9;_.-]+),\s*Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  if (parts === null)
    return invalid('The Authorization header is not a Signature Version 4 (AWS4-HMAC-SHA256) of the service lambda.');
  const [, accessKeyId = '', scope = '', service = '', names = '', signature = ''] = parts;
  if (service !== SERVICE)
    return invalid(`Credential should be scoped to correct service: '${SERVICE}', not '${service}'.`);
  const secretAccessKey = keys.get(accessKeyId);
  if (secretAccessKey === undefined) {
    return new UserError(
      'UnrecognizedClientException',
      'The security token included in the request is invalid: its access key is not configured here.',
    );
  }
  const claim = {
    secretAccessKey,
    names: names.split(';'),
    date: single(request.headers['x-amz-date']) ?? '',
    scope,
    signature: Buffer.from(signature, 'hex'),
  };
  return badDate(claim, nowMs) ?? uncovered(claim, request) ?? claim;
}

/** Once the body is there. */
export function verify(request: SignedRequest, body: Buffer, claim: Claim): UserError | null {
  const bodyHash = sha256Hex(body);
  const claimed = single(request.headers['x-amz-content-sha256']);
  if (claimed !== undefined && claimed !== bodyHash) {
    return invalid(
      'x-amz-content-sha256 must be the SHA-256 of the body, in lower-case hex; UNSIGNED-PAYLOAD is not accepted.',
    );
  }
  const right = calculate(request, { ...claim, bodyHash }, claim.secretAccessKey);
  return timingSafeEqual(right, claim.signature)
    ? null
    : invalid(
        'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.',
      );
}

function badDate(claim: Claim, nowMs: number): UserError | null {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(claim.date);
  if (parts === null || !claim.scope.startsWith(claim.date.slice(0, 8))) {
    return invalid('The header x-amz-date must be there, as YYYYMMDDTHHMMSSZ, on the day of the credential scope.');
  }
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const skewMs = Date.UTC(year, month - 1, day, hour, minute, second) - nowMs;
  if (Math.abs(skewMs) <= CLOCK_SKEW_MS) return null;
  const now = new Date(nowMs).toISOString();
  return invalid(
    `Signature ${skewMs < 0 ? 'expired' : 'not yet current'}: ${claim.date} is more than 15 minutes from this server's ${now}.`,
  );
}

function uncovered(claim: Claim, request: SignedRequest): UserError | null {
  const missing = Object.keys(request.headers).find(
    (name) => (name === 'host' || name.startsWith('x-amz-')) && !claim.names.includes(name),
  );
  return missing === undefined ? null : invalid(`The header '${missing}' must be signed, and is not in SignedHeaders.`);
}

function invalid(message: string): UserError {
  return new UserError('InvalidSignatureException', message);
}

interface Terms {
  readonly names: readonly string[];
  readonly bodyHash: string;
  readonly date: string;
  /** date/region/service/aws4_request */
  readonly scope: string;
}

function calculate(request: SignedRequest, terms: Terms, secretAccessKey: string): Buffer {
  const question = request.target.indexOf('?');
  const path = question === -1 ? request.target : request.target.slice(0, question);
  const query = question === -1 ? '' : request.target.slice(question + 1);
  const canonical = [
    request.method,
    canonicalPath(path),
    canonicalQuery(query),
    ...terms.names.map((name) => `${name}:${headerText(request.headers[name])}`),
    '',
    terms.names.join(';'),
    terms.bodyHash,
  ].join('\n');
  const text = [ALGORITHM, terms.date, terms.scope, sha256Hex(canonical)].join('\n');
  let key: Buffer = Buffer.from(`AWS4${secretAccessKey}`);
  for (const part of terms.scope.split('/')) key = hmac(key, part);
  return hmac(key, text);
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** Without dot segments and doubled slashes, and encoded once more than it was sent: so every service but S3. */
function canonicalPath(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(encode(segment));
  }
  const slash = path.endsWith('/') && kept.length > 0 ? '/' : '';
  return `/${kept.join('/')}${slash}`;
}

function canonicalQuery(query: string): string {
  if (query === '') return '';
  const pairs = query.split('&').map((pair) => {
    const equals = pair.indexOf('=');
    const name = equals === -1 ? pair : pair.slice(0, equals);
    const value = equals === -1 ? '' : pair.slice(equals + 1);
    return [recode(name), recode(value)] as const;
  });
  pairs.sort(([a, x], [b, y]) => compare(a, b) || compare(x, y));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function recode(text: string): string {
  try {
    return encode(decodeURIComponent(text));
  } catch {
    // Not decodable: such a signature cannot match, whatever we answer with here.
    return text;
  }
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function headerText(value: string | readonly string[] | undefined): string {
  const text = typeof value === 'string' ? value : (value ?? []).join(',');
  return text.trim().replace(/ +/g, ' ');
}

function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}
