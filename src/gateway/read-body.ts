/** The body of an API request, within its limit and within what all requests together may hold in memory. */
import type { IncomingMessage } from 'node:http';
import { UserError } from '../base/errors.ts';

const EMPTY = Buffer.alloc(0);

/** Bodies of requests being read or answered, together: seven deployments of the largest size. */
const HELD_BYTES_MAX = 512 * 1024 * 1024;

export class BodyReader {
  #heldBytes = 0;

  /** Null when the client went away. Call `release` with the body once the request is answered. */
  read(request: IncomingMessage, bytesMax: number, operation: string): Promise<Buffer | UserError | null> {
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > bytesMax) return Promise.resolve(tooLarge(bytesMax, operation));
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
        if (bytes > bytesMax) return settle(tooLarge(bytesMax, operation));
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

export function tooLarge(bytesMax: number, operation: string): UserError {
  return new UserError(
    'RequestTooLargeException',
    `Request must be smaller than ${bytesMax} bytes for the ${operation} operation`,
  );
}
