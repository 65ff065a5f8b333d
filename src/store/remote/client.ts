/** Requests to other nodes: each bounded in bytes and in time, and every way to fail is a value. */
import { parseJson } from '../../base/json.ts';
import type { IncomingMessage } from 'node:http';
import { type Agent, request, type RequestOptions } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../base/clock.ts';
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { type DialerDelays, dialDelayMs } from '../../cluster/link/dialer.ts';
import { type Address, addressText } from '../../cluster/node/connect.ts';
import { userError } from './protocol.ts';

/** The store of another node, and how it is reached. */
export interface StoreNode {
  /** Of `nodeAgent`: it takes no other than a gateway for the store's node. */
  readonly agent: Agent;
  readonly store: Address;
  readonly clock: Clock;
}

export interface Question {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly answerBytesMax: number;
  readonly timeoutMs: number;
  /** The connection may say nothing for so long; absent: as long as the timeout. */
  readonly silenceMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** There was none, or not all of it. */
export class NoAnswer {
  readonly why: string;
  /** The other side may have the question. */
  readonly sent: boolean;

  constructor(why: string, sent: boolean) {
    this.why = why;
    this.sent = sent;
  }
}

export function ask(agent: Agent, to: Address, clock: Clock, question: Question): Promise<Answer | NoAnswer> {
  const { method, path, headers, body, timeoutMs, silenceMs = timeoutMs, answerBytesMax } = question;
  return new Promise((resolve) => {
    const length = body === undefined ? {} : { 'content-length': String(body.length) };
    const asked = request({ agent, host: to.host, port: to.port, method, path, headers: { ...headers, ...length } });
    let sent = false;
    let heardUs = clock.nowUs();
    let timer = (): void => {};
    const settle = (result: Answer | NoAnswer): void => {
      timer();
      resolve(result);
    };
    const fail = (why: string): void => {
      settle(new NoAnswer(why, sent));
      asked.destroy();
    };
    const startUs = heardUs;
    // Looks a few times in each wait: late by a part of it, never early.
    timer = clock.every(Math.max(10, Math.min(silenceMs, timeoutMs) / 4), () => {
      const nowUs = clock.nowUs();
      if (nowUs - heardUs >= silenceMs * 1000) fail(`it said nothing for ${silenceMs} ms`);
      else if (nowUs - startUs >= timeoutMs * 1000) fail(`it did not answer within ${timeoutMs} ms`);
    });
    asked.on('socket', (socket) => {
      // Of one that was waited for until another request was done with it, `reusedSocket` says nothing.
      if ((socket as TLSSocket).authorized) sent = true;
      else socket.once('secureConnect', () => (sent = !socket.destroyed));
    });
    asked.on('error', (error) => fail(reasonOf(error)));
    asked.on('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        heardUs = clock.nowUs();
        bytes += chunk.length;
        if (bytes > answerBytesMax) return fail(`its answer has more than ${answerBytesMax} bytes`);
        chunks.push(chunk);
      });
      response.on('end', () => {
        if (response.complete) settle({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) });
      });
      response.on('error', (error) => fail(reasonOf(error)));
      response.on('close', () => fail('its answer was cut short'));
    });
    asked.end(body);
  });
}

function reasonOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined || error.message.includes(code) ? error.message : `${error.message} (${code})`;
}

/** What the other side refused with, or what its answer was instead of one. */
export function refusalOf({ status, body }: Answer): UserError {
  const value = parseJson(body.toString('utf8')) as { error?: unknown } | undefined;
  return userError(value?.error) ?? new UserError('ServiceException', `The store's node answered ${status}.`);
}

export function awayError(to: Address, why: string): UserError {
  return new UserError(
    'ServiceUnavailableException',
    `The node that has the store, ${addressText(to)}, cannot be reached: ${why}. Nothing was changed.`,
  );
}

export interface LineEvents {
  line(value: unknown): void;
  /** `status` is 0 where there was no answer. */
  ended(why: string, status: number): void;
}

/**
 * A stream of lines, each a JSON value, on a connection of its own (so it takes none of the agent's places). It is ended when
 * nothing comes for `linkSilenceMs`: the other side beats. Returns the way to end it, after which nothing is told.
 */
export function openLines({ agent, store, clock }: StoreNode, path: string, events: LineEvents): () => void {
  const options: RequestOptions = { host: store.host, port: store.port, path };
  const asked = request({ ...options, createConnection: () => agent.createConnection(options, () => {})! });
  let heard = true;
  let open = true;
  let stopWatching = (): void => {};
  const stop = (): void => {
    open = false;
    stopWatching();
    asked.destroy();
  };
  const end = (why: string, status: number): void => {
    if (!open) return;
    stop();
    events.ended(why, status);
  };
  stopWatching = clock.every(LIMITS.linkSilenceMs, () => {
    if (!heard) end(`it said nothing for ${LIMITS.linkSilenceMs} ms`, 0);
    heard = false;
  });
  asked.on('error', (error) => end(reasonOf(error), 0));
  asked.on('response', (response) => {
    if (response.statusCode !== 200) return readRefusal(response, end);
    response.on('error', (error) => end(reasonOf(error), 200));
    response.on('close', () => end('the stream ended', 200));
    splitLines(response, (text) => {
      heard = true;
      if (!open) return;
      const value = text === null ? undefined : parseJson(text);
      if (value === undefined) end('what it sent is not lines of JSON', 200);
      else events.line(value);
    });
  });
  asked.end();
  return stop;
}

function splitLines(response: IncomingMessage, take: (line: string | null) => void): void {
  let rest: string[] = [];
  let restLength = 0;
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    let from = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', from)) {
      rest.push(chunk.slice(from, end));
      take(rest.join(''));
      rest = [];
      restLength = 0;
      from = end + 1;
    }
    if (from === chunk.length) return;
    rest.push(chunk.slice(from));
    restLength += chunk.length - from;
    if (restLength > LIMITS.storeLineBytesMax) take(null);
  });
}

function readRefusal(response: IncomingMessage, end: (why: string, status: number) => void): void {
  const chunks: Buffer[] = [];
  const status = response.statusCode ?? 0;
  response.on('data', (chunk: Buffer) => chunks.length < 16 && chunks.push(chunk));
  response.on('error', (error) => end(reasonOf(error), status));
  response.on('close', () => end(refusalOf({ status, body: Buffer.concat(chunks) }).message, status));
}

const DELAYS: DialerDelays = { minMs: LIMITS.dialDelayMinMs, maxMs: LIMITS.dialDelayMaxMs };

/** When to try again, by the rule of every connection between nodes. */
export class Again {
  readonly #clock: Clock;
  readonly #random: () => number;
  #attempts = 0;
  #stopWaiting: () => void = () => {};

  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  later(job: () => void): void {
    this.#stopWaiting();
    this.#stopWaiting = this.#clock.every(dialDelayMs(this.#attempts++, DELAYS, this.#random()), () => {
      this.#stopWaiting();
      job();
    });
  }

  wait(): Promise<void> {
    return new Promise((resolve) => this.later(resolve));
  }

  succeeded(): void {
    this.#attempts = 0;
  }

  stop(): void {
    this.#stopWaiting();
  }
}
