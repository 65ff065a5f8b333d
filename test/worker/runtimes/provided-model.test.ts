/** The Runtime API against a model: whatever is asked in whatever order, each invocation has one answer at most. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';

interface Api {
  give(invocation: object): void;
  handle(request: http.IncomingMessage, response: http.ServerResponse): void;
}
interface Events {
  ready(): void;
  failed(body: Buffer): void;
  response(body: Buffer): void;
  error(body: Buffer): void;
}

const { RuntimeApi } = createRequire(import.meta.url)('../../../src/worker/runtimes/provided/runtime-api.cjs') as {
  RuntimeApi: new (arn: string, bytesMax: number, events: Events) => Api;
};

/** Tiny, so that answers beyond it are common. */
const BYTES_MAX = 8;

interface Answering {
  readonly kind: 'answer';
  readonly what: 'response' | 'error';
  readonly of: 'this' | 'last' | 'none';
  readonly bytes: number;
}
type Step = { readonly kind: 'next' | 'give' | 'initError' } | Answering;

const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<Step>({ kind: 'next' }) },
    { weight: 3, arbitrary: fc.constant<Step>({ kind: 'give' }) },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: 'initError' }) },
    {
      weight: 5,
      arbitrary: fc.record<Answering>({
        kind: fc.constant('answer'),
        what: fc.constantFrom('response', 'error'),
        of: fc.constantFrom('this', 'this', 'this', 'last', 'none'),
        bytes: fc.integer({ min: 0, max: BYTES_MAX + 2 }),
      }),
    },
  ),
  { size: 'max', maxLength: 40 },
);

class Subject {
  readonly events: string[] = [];
  readonly api: Api;
  readonly #server: http.Server;
  readonly #agent = new http.Agent({ keepAlive: true });
  #arrived: () => void = () => {};

  constructor() {
    const events = this.events;
    this.api = new RuntimeApi('arn', BYTES_MAX, {
      ready: () => events.push('ready'),
      failed: () => events.push('failed'),
      response: () => events.push('response'),
      error: () => events.push('error'),
    });
    this.#server = http.createServer((request, response) => {
      this.api.handle(request, response);
      this.#arrived();
    });
  }

  async open(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  close(): void {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Resolves when the request has arrived, to a promise of its status and the invocation that it brought. */
  async ask(method: string, path: string, body = ''): Promise<{ reply: Promise<{ status: number; id: string }> }> {
    const { port } = this.#server.address() as AddressInfo;
    const arrived = new Promise<void>((resolve) => (this.#arrived = resolve));
    const reply = new Promise<{ status: number; id: string }>((resolve) => {
      const request = http.request(
        { port, host: '127.0.0.1', method, path: `/2018-06-01/runtime/${path}`, agent: this.#agent },
        (response) => {
          response.resume();
          const id = String(response.headers['lambda-runtime-aws-request-id'] ?? '');
          response.on('end', () => resolve({ status: response.statusCode ?? 0, id }));
        },
      );
      request.on('error', () => resolve({ status: 0, id: '' }));
      request.end(body);
    });
    await arrived;
    return { reply };
  }
}

class Model {
  phase: 'starting' | 'ready' | 'failed' = 'starting';
  given = 0;
  answered = true;
  readonly events: string[] = [];
  readonly waiting: Promise<{ status: number; id: string }>[] = [];

  async step(subject: Subject, step: Step): Promise<void> {
    if (step.kind === 'answer') await this.#answer(subject, step);
    else if (step.kind === 'next') await this.#next(subject);
    else if (step.kind === 'give') await this.#give(subject);
    else await this.#initError(subject);
    assert.deepEqual(subject.events, this.events);
  }

  async #next(subject: Subject): Promise<void> {
    const { reply } = await subject.ask('GET', 'invocation/next');
    if (this.phase === 'failed') return assert.deepEqual(await reply, { status: 403, id: '' });
    if (this.phase === 'starting') this.events.push('ready');
    this.phase = 'ready';
    if (this.answered) this.waiting.push(reply);
    else assert.deepEqual(await reply, { status: 200, id: `id-${this.given}` });
  }

  /** As the agent does: to an instance that is ready and has answered. */
  async #give(subject: Subject): Promise<void> {
    if (this.phase !== 'ready' || !this.answered) return;
    this.answered = false;
    const requestId = `id-${++this.given}`;
    subject.api.give({ requestId, deadlineMs: 0, extra: null, payload: Buffer.from('{}') });
    const first = this.waiting.shift();
    if (first !== undefined) assert.deepEqual(await first, { status: 200, id: requestId });
  }

  async #initError(subject: Subject): Promise<void> {
    const { reply } = await subject.ask('POST', 'init/error', '{}');
    const allowed = this.phase === 'starting';
    assert.equal((await reply).status, allowed ? 202 : 403);
    if (!allowed) return;
    this.phase = 'failed';
    this.events.push('failed');
  }

  async #answer(subject: Subject, { what, of, bytes }: Answering): Promise<void> {
    const number = { this: this.given, last: this.given - 1, none: -1 }[of];
    const { reply } = await subject.ask('POST', `invocation/id-${number}/${what}`, 'x'.repeat(bytes));
    const { status } = await reply;
    if (number !== this.given || number === 0) return assert.equal(status, 400);
    if (this.answered) return assert.equal(status, 403);
    this.answered = true;
    this.events.push(bytes > BYTES_MAX ? 'error' : what);
    assert.equal(status, bytes > BYTES_MAX ? 413 : 202);
  }
}

test('whatever is asked, the Runtime API does as the model', () =>
  fc.assert(
    fc.asyncProperty(steps, async (list) => {
      const subject = new Subject();
      const model = new Model();
      await subject.open();
      try {
        for (const step of list) await model.step(subject, step);
      } finally {
        subject.close();
      }
    }),
    { numRuns: 100 },
  ));
