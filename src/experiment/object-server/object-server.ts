/** The object server as the harness sees it. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { ServerAnswer, ServerQuestion, ServerReady } from './messages.ts';

/** Rewritten by the build together with all names of source files. */
const PROCESS = new URL('./process.ts', import.meta.url);

/** It stands for another machine: threads of V8's would collect its heap on all cores of the functions at once, and often. */
const NODE_OPTIONS = ['--single-threaded-gc', '--max-semi-space-size=64'];

export class ObjectServer {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(): Promise<ObjectServer> {
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
    const child = fork(fileURLToPath(PROCESS), [], { stdio: [...stdio], execArgv: NODE_OPTIONS });
    const ended = once(child, 'exit').then(() => Promise.reject(new Error('the object server did not start')));
    ended.catch(() => undefined);
    const [ready] = (await Promise.race([once(child, 'message'), ended])) as [ServerReady];
    return new ObjectServer(child, ready.port);
  }

  /** One question at a time. */
  async ask(question: ServerQuestion): Promise<ServerAnswer> {
    const answer = once(this.#child, 'message');
    this.#child.send(question);
    const [told] = (await answer) as [ServerAnswer];
    return told;
  }

  async put(path: string, body: Buffer): Promise<void> {
    await this.#send('PUT', path, body);
  }

  get(path: string): Promise<Buffer> {
    return this.#send('GET', path, null);
  }

  async #send(method: string, path: string, body: Buffer | null): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const request = httpRequest({ host: '127.0.0.1', port: this.port, method, path }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks));
        else reject(new Error(`${method} ${path}: the object server answered ${response.statusCode}`));
      });
    });
    request.on('error', reject);
    request.end(body ?? undefined);
    return promise;
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }
}
