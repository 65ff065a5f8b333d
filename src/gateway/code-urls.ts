/**
 * Addresses under which a function's zip can be fetched for ten minutes without a signature, as GetFunction hands
 * them out. The address carries its right: an HMAC under a key that only this process knows.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const VALID_MS = 10 * 60 * 1000;

export const CODE_PATH = '/perch/v1/code';

export class CodeUrls {
  readonly #key = randomBytes(32);

  make(baseUrl: string, functionName: string, version: string, nowMs: number): string {
    const expires = String(nowMs + VALID_MS);
    const token = this.#token(functionName, version, expires);
    const query = new URLSearchParams({ version, expires, token });
    return `${baseUrl}${CODE_PATH}/${functionName}?${query.toString()}`;
  }

  check(functionName: string, query: URLSearchParams, nowMs: number): boolean {
    const expires = query.get('expires') ?? '';
    const given = Buffer.from(query.get('token') ?? '');
    const right = Buffer.from(this.#token(functionName, query.get('version') ?? '', expires));
    return given.length === right.length && timingSafeEqual(given, right) && Number(expires) >= nowMs;
  }

  #token(functionName: string, version: string, expires: string): string {
    return createHmac('sha256', this.#key).update(`${functionName}\n${version}\n${expires}`).digest('base64url');
  }
}
