/** Answers where there is no response object of node:http: written by hand, and the last of their connection. */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { UserError } from '../base/errors.ts';
import { errorBody } from './respond.ts';

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  413: 'Content Too Large',
};

export function rawError(error: UserError): string {
  const body = errorBody(error);
  return [
    `HTTP/1.1 ${error.status} ${STATUS_TEXTS[error.status] ?? ''}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `x-amzn-RequestId: ${randomUUID()}`,
    `x-amzn-ErrorType: ${error.code}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

/**
 * Ends connections that may not talk to us before anything of them is read.
 *
 * Closing at once resets a connection that has sent something, and its end may see the reset instead of the answer. So
 * a few of them get a moment to read it; the others are not waited for, and thousands of them hold nothing.
 */
export class Refuser {
  #lingering = 0;

  refuse(socket: Socket, error: UserError): void {
    socket.on('error', () => {});
    socket.end(rawError(error));
    if (this.#lingering >= LINGERING_MAX) {
      socket.destroy();
      return;
    }
    this.#lingering++;
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#lingering--;
    });
    let left = LINGER_BYTES_MAX;
    socket.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) socket.destroy();
    });
  }
}

const LINGERING_MAX = 64;
const LINGER_MS = 500;
const LINGER_BYTES_MAX = 64 * 1024;
