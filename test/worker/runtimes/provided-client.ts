/** A test in the place of a bootstrap: it asks the Runtime API of an instance by itself. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { type Outcome, Runner } from './provided-runner.ts';

export const VERSION = '/2018-06-01/runtime';

/** A bootstrap that says where the Runtime API is, and leaves talking to the test. */
const SILENT = '#!/bin/sh\necho "at $AWS_LAMBDA_RUNTIME_API."\nexec sleep 1000\n';

export interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  readonly json: any;
}

interface Ask {
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly trailers?: Record<string, string>;
}

/** The test as a bootstrap. */
export class Client {
  readonly runner: Runner;
  readonly host: string;
  readonly port: number;
  readonly #agent = new http.Agent({ keepAlive: true });

  private constructor(runner: Runner, host: string, port: number) {
    this.runner = runner;
    this.host = host;
    this.port = port;
  }

  static async start(env: Record<string, string> = {}): Promise<Client> {
    const runner = new Runner(SILENT, { env });
    let place: RegExpExecArray | null = null;
    while ((place = /at ([\d.]+):(\d+)\./.exec(runner.log)) === null) {
      assert.equal(runner.exit, null);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return new Client(runner, place[1]!, Number(place[2]));
  }

  call(method: string, url: string, ask: Ask = {}): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const { host, port } = this;
      const { body, headers, trailers } = ask;
      const sized = body === undefined || trailers !== undefined ? {} : { 'Content-Length': Buffer.byteLength(body) };
      const request = http.request(
        { host, port, method, path: url, agent: this.#agent, headers: { ...sized, ...headers } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            let json: unknown = null;
            try {
              json = JSON.parse(text);
            } catch {
              // Not JSON.
            }
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
          });
        },
      );
      request.on('error', reject);
      if (trailers !== undefined) request.addTrailers(trailers);
      request.end(body);
    });
  }

  next(): Promise<Reply> {
    return this.call('GET', `${VERSION}/invocation/next`);
  }

  post(requestId: string, what: 'response' | 'error', ask: Ask = {}): Promise<Reply> {
    return this.call('POST', `${VERSION}/invocation/${requestId}/${what}`, { body: '', ...ask });
  }

  stop(): void {
    this.#agent.destroy();
    this.runner.stop();
  }
}

/** An invocation, and what the test as its bootstrap got for it. */
export async function begin(
  client: Client,
  event: unknown,
  more = {},
): Promise<{ reply: Reply; id: string; outcome: Promise<Outcome> }> {
  const asked = client.next();
  const outcome = client.runner.invoke(event, more);
  const reply = await asked;
  return { reply, id: String(reply.headers['lambda-runtime-aws-request-id']), outcome };
}

export async function withClient(use: (client: Client) => Promise<void>): Promise<void> {
  const client = await Client.start();
  try {
    await use(client);
  } finally {
    client.stop();
  }
}
