/** Answers as bytes, in AWS's form: status, x-amzn-requestid, x-amzn-errortype and the message under its key. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { API_ERRORS } from '../base/errors.ts';
import type { UserError } from '../base/errors.ts';

/** How much of a refused body is read and thrown away, so that its sender gets to see the refusal. */
const DISCARDED_BYTES_MAX = 64 * 1024 * 1024;

const RETRY_AFTER_S = 1;

export function errorBody(error: UserError): string {
  const spec = API_ERRORS[error.code];
  return JSON.stringify({
    ...(error.reason === undefined ? {} : { Reason: error.reason }),
    Type: spec.status >= 500 ? 'Service' : 'User',
    [spec.messageKey]: error.message,
  });
}

function errorHeaders(error: UserError, requestId: string, body: string): string[] {
  const headers = [
    'Content-Type', 'application/json',
    'Content-Length', String(Buffer.byteLength(body)),
    'x-amzn-RequestId', requestId,
    'x-amzn-ErrorType', error.code,
  ]; // oxfmt-ignore
  if (error.status === 429 || error.status === 503) headers.push('Retry-After', String(RETRY_AFTER_S));
  return headers;
}

export function sendError(response: ServerResponse, error: UserError, requestId: string): void {
  if (response.headersSent || response.destroyed) return;
  const body = errorBody(error);
  response.writeHead(error.status, errorHeaders(error, requestId, body));
  response.end(body);
}

export function sendJson(response: ServerResponse, status: number, json: unknown, requestId: string): void {
  if (json === undefined) {
    response.writeHead(
      status,
      status === 204 ? ['x-amzn-RequestId', requestId] : ['x-amzn-RequestId', requestId, 'Content-Length', '0'],
    );
    response.end();
    return;
  }
  sendBytes(response, { status, contentType: 'application/json', bytes: JSON.stringify(json) }, requestId);
}

export interface Bytes {
  readonly status: number;
  readonly contentType: string;
  readonly bytes: Buffer | string;
}

export function sendBytes(response: ServerResponse, answer: Bytes, requestId: string): void {
  response.writeHead(answer.status, [
    'Content-Type', answer.contentType,
    'Content-Length', String(Buffer.byteLength(answer.bytes)),
    'x-amzn-RequestId', requestId,
  ]); // oxfmt-ignore
  response.end(answer.bytes);
}

/**
 * Answers while the body is still coming, and closes the connection. Closing at once would reset it, and the sender
 * would see a broken connection instead of the answer: so what comes is thrown away for a while.
 */
export function sendErrorAndClose(
  request: IncomingMessage,
  response: ServerResponse,
  error: UserError,
  requestId: string,
): void {
  if (response.headersSent || response.destroyed) return;
  const body = errorBody(error);
  response.writeHead(error.status, [...errorHeaders(error, requestId, body), 'Connection', 'close']);
  if (request.complete) {
    response.end(body);
    return;
  }
  response.write(body);
  let left = DISCARDED_BYTES_MAX;
  request.removeAllListeners('data');
  request.removeAllListeners('end');
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.socket.destroy();
  });
  request.on('end', () => response.end());
  request.resume();
}
