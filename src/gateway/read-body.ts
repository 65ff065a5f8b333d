/** The body of an API request, within its limit and within what all requests together may hold in memory. */
import type { IncomingMessage } from 'node:http';
import { UserError } from '../base/errors.ts';
import type { Route } from './route.ts';

export type BodyRoute = Pick<Route, 'operation' | 'bodyBytesMax' | 'bodyLimits'>;

const EMPTY = Buffer.alloc(0);

/** Bodies of requests being read or answered, together: seven deployments of the largest size. */
const HELD_BYTES_MAX = 512 * 1024 * 1024;

/** Of operations that take no body; some clients send `{}`. */
const UNUSED_BODY_BYTES_MAX = 1024;

export class BodyReader {
  #heldBytes = 0;

  /** Null when the client went away. Call `release` with the body once the request is answered. */
  read(request: IncomingMessage, route: BodyRoute): Promise<Buffer | UserError | null> {
    const { bodyBytesMax: bytesMax = UNUSED_BODY_BYTES_MAX, bodyLimits = '', operation } = route;
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > bytesMax) return Promise.resolve(tooLarge(bytesMax, operation, bodyLimits));
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const settle = (result: Buffer | UserError | null): void => {
        request.removeAllListeners('data');
        if (!(result instanceof Buffer)) this.#heldBytes -= bytes;
        bytes = 0;
        resolve(result);
      };
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        this.#heldBytes += chunk.length;
        if (bytes > bytesMax) return settle(tooLarge(bytesMax, operation, bodyLimits));
        if (this.#heldBytes > HELD_BYTES_MAX) return settle(tooMany());
        chunks.push(chunk);
      });
      request.once('end', () => settle(chunks.length === 1 ? (chunks[0] ?? EMPTY) : Buffer.concat(chunks)));
      request.once('close', () => settle(null));
    });
  }

  release(body: Buffer): void {
    this.#heldBytes -= body.length;
  }
}

function tooMany(): UserError {
  return new UserError('TooManyRequestsException', 'Too many large requests at once: Rate Exceeded.');
}

/** `limits`: of what is in it, in words; '' where it is one thing. */
export function tooLarge(bytesMax: number, operation: string, limits = ''): UserError {
  const message = `Request must be smaller than ${bytesMax} bytes for the ${operation} operation`;
  return new UserError('RequestTooLargeException', limits === '' ? message : `${message}: ${limits}.`);
}
