/** What a worker answers over HTTP: its metrics, and to other workers the code that it has. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ZipShelf } from '../code/zip-shelf.ts';

const CODE = /^\/code\/([0-9a-f]{64})$/;

export interface WorkerHttpDoors {
  readonly metrics: () => string;
  readonly shelf: ZipShelf;
}

export async function answerHttp(
  doors: WorkerHttpDoors,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // Nothing here has a body.
  request.resume();
  if (request.method !== 'GET') return end(response, 405, 'text/plain', 'Only GET.\n');
  if (request.url === '/metrics') return end(response, 200, 'text/plain; version=0.0.4', doors.metrics());
  const sha256 = CODE.exec(request.url ?? '')?.[1];
  const zip = sha256 === undefined ? null : await doors.shelf.get(sha256);
  if (zip === null) return end(response, 404, 'text/plain', 'It is not here.\n');
  end(response, 200, 'application/zip', zip);
}

function end(response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
