/**
 * How commands talk to a platform: HTTP to its gateway, signed where the environment holds an access key.
 * node:http rather than fetch: fetch gives up on an answer after five minutes and a function may run for fifteen,
 * and loading it would double the start-up time of a short command.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { CliError, EXIT } from './exit-codes.ts';
import type { ExitCode } from './exit-codes.ts';

export const DEFAULT_ENDPOINT = 'http://127.0.0.1:9400';

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export class Client {
  readonly endpoint: URL;

  constructor(endpoint: string | undefined) {
    const text = endpoint ?? process.env['PERCH_ENDPOINT'] ?? DEFAULT_ENDPOINT;
    if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
      throw new CliError(EXIT.usage, `endpoint '${text}' is not a URL; give one like ${DEFAULT_ENDPOINT}`);
    }
    this.endpoint = new URL(text);
  }

  /** The answer whatever its status. */
  async send(call: Call): Promise<Answer> {
    const response = await this.open(call);
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of response) chunks.push(chunk as Buffer);
    } catch {
      throw new CliError(EXIT.unreachable, `${this.endpoint.href} broke the connection off; is the platform still up?`);
    }
    return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
  }

  /** The JSON of a successful answer; a refusal ends the command with the platform's message. */
  async json<T>(method: Call['method'], path: string, body?: unknown): Promise<T> {
    const answer = await this.send({
      method,
      path,
      ...(body !== undefined && {
        body: Buffer.from(JSON.stringify(body)),
        headers: { 'content-type': 'application/json' },
      }),
    });
    if (answer.status >= 300) throw refusal(answer);
    const text = answer.body.toString();
    if (text === '') return undefined as T;
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new CliError(
        EXIT.internal,
        `${this.endpoint.href} answered something that is no JSON; is it a Perch gateway?`,
      );
    }
  }

  /** The response as a stream, for what follows a log. */
  async open(call: Call): Promise<IncomingMessage> {
    const url = new URL(call.path, this.endpoint);
    const headers = await this.#headers(url, call);
    const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = request(url, { method: call.method, headers }, resolve);
    outgoing.on('error', (error: NodeJS.ErrnoException) => reject(this.#unreachable(error)));
    outgoing.end(call.body);
    return promise;
  }

  async #headers(url: URL, call: Call): Promise<Record<string, string>> {
    const headers = { ...call.headers, host: url.host, 'content-length': String(call.body?.length ?? 0) };
    const accessKeyId = process.env['PERCH_ACCESS_KEY_ID'];
    const secretAccessKey = process.env['PERCH_SECRET_ACCESS_KEY'];
    if (accessKeyId === undefined || secretAccessKey === undefined) return headers;
    const { sign } = await import('../gateway/sigv4.ts');
    const request = { method: call.method, target: url.pathname + url.search, headers };
    const scope = { region: 'us-east-1', nowMs: Date.now() };
    return { ...headers, ...sign(request, call.body ?? '', { accessKeyId, secretAccessKey }, scope) };
  }

  #unreachable(error: NodeJS.ErrnoException): CliError {
    const why = error.code ?? error.message;
    return new CliError(
      EXIT.unreachable,
      `no platform answers at ${this.endpoint.href} (${why}); start one with 'perch up', or name it with --endpoint or PERCH_ENDPOINT`,
    );
  }
}

/** The error that a refusing answer stands for. */
export function refusal(answer: Answer): CliError {
  return new CliError(exitCodeOf(answer.status), refusalMessage(answer));
}

function refusalMessage(answer: Answer): string {
  const type = String(answer.headers['x-amzn-errortype'] ?? `HTTP ${answer.status}`);
  try {
    const { message, Message } = JSON.parse(answer.body.toString()) as { message?: string; Message?: string };
    return `${type}: ${message ?? Message ?? ''}`;
  } catch {
    return type;
  }
}

function exitCodeOf(status: number): ExitCode {
  if (status === 404) return EXIT.notFound;
  if (status === 429 || status === 503) return EXIT.throttled;
  if (status >= 500) return EXIT.internal;
  return EXIT.refused;
}
