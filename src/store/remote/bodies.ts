/** Bodies of requests from other nodes, each within its limit and all together within theirs. */
import type { IncomingMessage } from 'node:http';
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';

export class Bodies {
  #heldBytes = 0;

  /** Null where the sender went away. What `use` answers with is kept until its promise settles. */
  async with<T>(
    request: IncomingMessage,
    bytesMax: number,
    use: (body: Buffer) => Promise<T>,
  ): Promise<T | UserError | null> {
    const body = await this.#read(request, bytesMax);
    if (body === null || body instanceof UserError) return body;
    try {
      return await use(body);
    } finally {
      this.#heldBytes -= body.length;
    }
  }

  #read(request: IncomingMessage, bytesMax: number): Promise<Buffer | UserError | null> {
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      let settled = false;
      const settle = (result: Buffer | UserError | null): void => {
        if (settled) return;
        settled = true;
        if (!(result instanceof Buffer)) this.#heldBytes -= bytes;
        resolve(result);
      };
      request.on('data', (chunk: Buffer) => {
        // What is refused is read to its end and thrown away, so that its sender gets the answer.
        if (settled) return;
        bytes += chunk.length;
        this.#heldBytes += chunk.length;
        if (bytes > bytesMax) return settle(tooLarge(bytesMax));
        if (this.#heldBytes > LIMITS.storeBodiesBytesMax) return settle(tooMany());
        chunks.push(chunk);
      });
      request.on('end', () => settle(request.complete ? Buffer.concat(chunks) : null));
      request.on('error', () => settle(null));
      request.on('close', () => settle(null));
    });
  }
}

function tooLarge(bytesMax: number): UserError {
  return new UserError('RequestTooLargeException', `The store takes at most ${bytesMax} bytes in this request.`);
}

function tooMany(): UserError {
  return new UserError('TooManyRequestsException', 'Too many large requests to the store at once.');
}
