/** What a worker answers over HTTP: its metrics, how it is with copies, how it shares its cores, and to other workers the code that it has, to few of them at once. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import { Gate } from '../../store/code/gate.ts';
import { PacedWriter, slices } from '../../store/remote/paced-writer.ts';
import type { CopyState } from '../agent/contract.ts';
import type { SharingView } from '../agent/sharing-view.ts';
import type { ZipShelf } from '../code/zip-shelf.ts';

const COPIES = /^\/copies\/([0-9a-f]{32})$/;
/** Who may have code. */
const READERS: readonly string[] = ['worker', 'gateway'];
const CODE = /^\/code\/([0-9a-f]{64})$/;

export interface WorkerHttpDoors {
  readonly metrics: () => string;
  readonly shelf: ZipShelf;
  /** By the version's key; null where it is not known here. */
  readonly copyState: (key: string) => CopyState | null;
  readonly sharing: () => SharingView;
  readonly clock: Clock;
}

export class WorkerHttp {
  readonly #doors: WorkerHttpDoors;
  /** A zip is in memory while it is sent. */
  readonly #zips = new Gate(LIMITS.storeZipsMax);

  constructor(doors: WorkerHttpDoors) {
    this.#doors = doors;
  }

  answer(request: IncomingMessage, response: ServerResponse, roles: readonly string[]): void {
    response.on('error', () => undefined);
    // Nothing here has a body.
    request.resume();
    if (request.method !== 'GET') return end(response, 405, 'Only GET.\n');
    if (request.url === '/metrics') return end(response, 200, this.#doors.metrics(), 'text/plain; version=0.0.4');
    if (request.url === '/sharing')
      return end(response, 200, JSON.stringify(this.#doors.sharing()), 'application/json');
    const key = COPIES.exec(request.url ?? '')?.[1];
    if (key !== undefined) return this.#sayCopyState(response, key);
    const sha256 = CODE.exec(request.url ?? '')?.[1];
    if (sha256 === undefined) end(response, 404, 'There is nothing of this name.\n');
    else if (!READERS.some((role) => roles.includes(role))) this.#refuse(response, roles);
    else void this.#zips.run(() => this.#sendZip(response, sha256));
  }

  #sayCopyState(response: ServerResponse, key: string): void {
    const state = this.#doors.copyState(key);
    if (state === null) end(response, 404, 'There is no such version here.\n');
    else end(response, 200, JSON.stringify(state), 'application/json');
  }

  #refuse(response: ServerResponse, roles: readonly string[]): void {
    end(response, 403, `Code is for a ${READERS.join(' or a ')}; your certificate says ${roles.join(', ')}.\n`);
  }

  async #sendZip(response: ServerResponse, sha256: string): Promise<void> {
    const { shelf, clock } = this.#doors;
    if (response.destroyed) return;
    const zip = await shelf.get(sha256);
    if (zip === null) return end(response, 404, 'It is not here.\n');
    response.writeHead(200, { 'content-type': 'application/zip', 'content-length': zip.length });
    if (await new PacedWriter(response, clock).send(slices(zip))) response.end();
  }
}

function end(response: ServerResponse, status: number, body: string, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
