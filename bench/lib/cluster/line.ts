/**
 * One connection with one question on its way at a time: an HTTP request, or bytes that come back. The same code asks
 * all rivals, as little of it as there can be, so that what differs is what they do.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';

/** How many bytes of what has come so far are the whole answer; 0: not yet known. */
type Length = (received: Buffer) => number;

export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

export class Line {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #length: Length = () => 0;
  #answered: (answer: Buffer) => void = () => {};
  #failed: (error: Error) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#failed(error));
    socket.on('close', () => this.#failed(new Error('the connection was closed')));
  }

  /** `ready`: of a TLS socket that is 'secureConnect'. */
  static async open(socket: Socket, ready: 'connect' | 'secureConnect' = 'connect'): Promise<Line> {
    await once(socket, ready);
    return new Line(socket);
  }

  /** Resolves with as many bytes as were sent. */
  echo(bytes: Buffer): Promise<Buffer> {
    return this.#ask(bytes, () => bytes.length);
  }

  async post(path: string, body = '{}'): Promise<Answer> {
    return parse(await this.#ask(postBytes(path, body), httpLength));
  }

  /** A server closes one on which nothing is asked for a while. */
  get isClosed(): boolean {
    return this.#socket.destroyed || this.#socket.readableEnded;
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(bytes: Buffer, length: Length): Promise<Buffer> {
    this.#length = length;
    return new Promise((resolve, reject) => {
      // Nothing more is heard of a socket that has closed, whatever is written to it.
      if (this.isClosed) return reject(new Error('the connection was closed before it was asked'));
      this.#answered = resolve;
      this.#failed = reject;
      this.#socket.write(bytes);
    });
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const length = this.#length(this.#received);
    if (length === 0 || this.#received.length < length) return;
    const answer = this.#received;
    this.#received = Buffer.alloc(0);
    this.#answered(answer);
  }
}

export function postBytes(path: string, body = '{}'): Buffer {
  const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: `;
  return Buffer.from(`${head}${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

/** Perch says the length of its answers. */
function httpLength(received: Buffer): number {
  const end = received.indexOf('\r\n\r\n');
  if (end < 0) return 0;
  const [, length] = /\r\ncontent-length: *(\d+)/i.exec(received.toString('latin1', 0, end)) ?? [];
  if (length === undefined) throw new Error(`an answer without its length: ${received.toString('latin1', 0, end)}`);
  return end + 4 + Number(length);
}

function parse(answer: Buffer): Answer {
  const end = answer.indexOf('\r\n\r\n');
  const head = answer.toString('latin1', 0, end);
  const body = answer.toString('utf8', end + 4);
  const isError = /\r\nx-amz-function-error:/i.test(head);
  return { status: isError ? 0 : Number(head.slice(9, 12)), head, body };
}
