/**
 * Addresses under which the zip of a function or layer can be fetched for ten minutes without a signature, as GetFunction and
 * GetLayerVersion hand them out. The address carries its right: an HMAC under a key that only this process knows.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const VALID_MS = 10 * 60 * 1000;

export const CODE_PATH = '/perch/v1/code';
export const LAYER_PATH = '/perch/v1/layers';

/** A version of a function or of a layer. */
export interface CodeOwner {
  readonly path: typeof CODE_PATH | typeof LAYER_PATH;
  readonly name: string;
  readonly version: string;
}

export class CodeUrls {
  readonly #key = randomBytes(32);

  make(baseUrl: string, owner: CodeOwner, nowMs: number): string {
    const expires = String(nowMs + VALID_MS);
    const query = new URLSearchParams({ version: owner.version, expires, token: this.#token(owner, expires) });
    return `${baseUrl}${owner.path}/${owner.name}?${query.toString()}`;
  }

  check(owner: CodeOwner, query: URLSearchParams, nowMs: number): boolean {
    const expires = query.get('expires') ?? '';
    const given = Buffer.from(query.get('token') ?? '');
    const right = Buffer.from(this.#token(owner, expires));
    return given.length === right.length && timingSafeEqual(given, right) && Number(expires) >= nowMs;
  }

  #token(owner: CodeOwner, expires: string): string {
    const text = `${owner.path}\n${owner.name}\n${owner.version}\n${expires}`;
    return createHmac('sha256', this.#key).update(text).digest('base64url');
  }
}
