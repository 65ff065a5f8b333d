/** What lies between two nodes: connections through it can be cut, and answers lost. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

const HANDSHAKE_BYTES = 1500;
const ANSWER_BYTES = 150;

export class Wire {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  port = 0;
  /** So many answers, once requests were passed on, are lost and their connections cut. */
  loseAnswers = 0;
  lostCount = 0;

  constructor(to: number) {
    this.#server = createServer((near) => {
      const far = connect(to, '127.0.0.1');
      const pair = [near, far] as const;
      this.#pairs.add(pair);
      near.on('data', (chunk) => void far.write(chunk));
      // Larger than what TLS and HTTP say by themselves: it is an answer.
      far.on('data', (chunk) => {
        if (this.loseAnswers > 0 && near.bytesRead > HANDSHAKE_BYTES && chunk.length > ANSWER_BYTES) {
          this.loseAnswers--;
          this.lostCount++;
          this.#cut(pair);
        } else {
          near.write(chunk);
        }
      });
      for (const socket of pair) socket.on('error', () => undefined).on('close', () => this.#cut(pair));
    });
  }

  async open(context: TestContext): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as AddressInfo).port;
    context.after(() => {
      this.#server.close();
      this.cut();
    });
    return this;
  }

  cut(): void {
    for (const pair of this.#pairs) this.#cut(pair);
  }

  #cut(pair: readonly [Socket, Socket]): void {
    this.#pairs.delete(pair);
    for (const socket of pair) socket.destroy();
  }
}
