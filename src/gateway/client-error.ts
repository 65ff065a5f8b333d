/** What the HTTP parser refuses: no request object exists, so the answer is written by hand and the connection ends. */
import { maxHeaderSize } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { UserError } from '../base/errors.ts';
import { rawError } from './raw-answer.ts';

export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  // An answer that is being written (of an earlier request on this connection) must not get another one mixed in.
  const pending = (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage;
  if (!socket.writable || error.code === 'ECONNRESET' || pending?.headersSent === true) {
    socket.destroy();
    return;
  }
  socket.end(rawError(refusalOf(error)));
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
