/** What the HTTP parser refuses: no request object exists, so the answer is written by hand and the connection ends. */
import { randomUUID } from 'node:crypto';
import { maxHeaderSize } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { UserError } from '../base/errors.ts';
import { errorBody } from './respond.ts';

const STATUS_TEXTS: Readonly<Record<number, string>> = { 400: 'Bad Request', 413: 'Content Too Large' };

export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  // An answer that is being written (of an earlier request on this connection) must not get another one mixed in.
  const pending = (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage;
  if (!socket.writable || error.code === 'ECONNRESET' || pending?.headersSent === true) {
    socket.destroy();
    return;
  }
  const refusal = refusalOf(error);
  const body = errorBody(refusal);
  socket.end(
    [
      `HTTP/1.1 ${refusal.status} ${STATUS_TEXTS[refusal.status] ?? ''}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `x-amzn-RequestId: ${randomUUID()}`,
      `x-amzn-ErrorType: ${refusal.code}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

function refusalOf(error: NodeJS.ErrnoException): UserError {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return new UserError(
      'RequestTooLargeException',
      `The headers of a request must be smaller than ${maxHeaderSize} bytes.`,
    );
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new UserError('InvalidRequestContentException', 'The request did not arrive in time.');
  }
  return new UserError('InvalidRequestContentException', `The request is not HTTP: ${error.message}`);
}
