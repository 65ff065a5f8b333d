/** The store of this node for all others: who may ask what, and who answers it. What is said is in protocol.ts. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { Role } from '../../cluster/identity/names.ts';
import type { Peer } from '../../cluster/identity/tls.ts';
import { encodeVersion } from '../../cluster/version-body.ts';
import type { Log } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { Gate } from '../code/gate.ts';
import type { LogStore } from '../logs.ts';
import { type CodeRef, type Store, StoreError } from '../store.ts';
import { Bodies } from './bodies.ts';
import { isMethod, type Method } from './call-arguments.ts';
import { CallService } from './call-service.ts';
import { FunctionFeed } from './function-feed.ts';
import { LogService } from './log-service.ts';
import { PacedWriter, slices } from './paced-writer.ts';
import { HEADERS, NAME_PATTERN, PATHS, SHA256_PATTERN, wireError } from './protocol.ts';
import { ProvisionedKeys } from './provisioned-keys.ts';

export interface StoreServiceOptions {
  readonly store: Store;
  readonly logs: LogStore;
  readonly accountId: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics?: Metrics;
  /** Other gateways have enqueued asynchronous invocations: whoever runs them looks. */
  readonly enqueued?: () => void;
}

interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What comes after the path of the route. */
  readonly rest: string;
  readonly query: URLSearchParams;
}

interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** What may come after it; absent: nothing. */
  readonly rest?: RegExp;
  readonly roles: readonly Role[];
  answer(asked: Asked): void | Promise<void>;
}

const GATEWAYS: readonly Role[] = ['gateway'];
const WORKERS: readonly Role[] = ['worker'];
const BOTH: readonly Role[] = ['gateway', 'worker'];
const KEY_PATTERN = /^[0-9a-f]{32}$/;
const CALL_ID_PATTERN = /^[0-9a-f-]{36}$/;
const TAIL_LINES_MAX = 1_000_000;
const BASE64_GROWTH = 4 / 3;
const REFUSALS_LOGGED_MAX = 1000;

export class StoreService {
  readonly #options: StoreServiceOptions;
  readonly #life = randomUUID();
  readonly #feed: FunctionFeed;
  readonly #calls: CallService;
  readonly #logs: LogService;
  readonly #keys: ProvisionedKeys;
  readonly #bodies = new Bodies();
  readonly #zips = new Gate(LIMITS.storeZipsMax);
  readonly #refused = new Set<string>();
  /** Each is settled when its answer has been sent. */
  readonly #changes = new Set<Promise<void>>();
  readonly #routes: readonly Route[];
  #closed = false;

  constructor(options: StoreServiceOptions) {
    const { store, logs, clock, accountId, metrics } = options;
    this.#options = options;
    this.#feed = new FunctionFeed(store, this.#life, clock);
    this.#calls = new CallService({ store, feed: this.#feed, life: this.#life, clock });
    this.#logs = new LogService(logs, clock);
    this.#keys = new ProvisionedKeys(store, accountId);
    this.#routes = this.#makeRoutes();
    metrics?.read('perch_store_readers', () => this.#feed.readerCount);
  }

  /** Answers a request whose path begins with /store/. */
  answer(request: IncomingMessage, response: ServerResponse, peer: Peer): void {
    response.on('error', () => undefined);
    const url = URL.parse(request.url ?? '/', 'http://store');
    if (url === null) return refuse(response, badRequest('The path is none.'));
    const there = this.#routes.filter((route) => restOf(route, url.pathname) !== null);
    const route = there.find(({ method }) => method === request.method);
    if (route === undefined) return refuseUnknown(response, there, url.pathname);
    if (!route.roles.some((role) => peer.roles.includes(role))) return this.#refuseRole(response, route, peer);
    if (this.#closed) return refuse(response, shuttingDown());
    const asked = { request, response, rest: restOf(route, url.pathname)!, query: url.searchParams };
    if (route.method !== 'GET') this.#noteChange(response);
    void this.#answer(route, asked);
  }

  /**
   * Refuses what comes from now on. What is being changed is answered first, if that takes no longer than `linkSilenceMs`: who asked
   * would not know otherwise whether it was. Then the streams end. The store and the logs stay open.
   */
  async close(): Promise<void> {
    this.#closed = true;
    let stopWaiting = (): void => {};
    const over = new Promise<void>((resolve) => {
      stopWaiting = this.#options.clock.every(LIMITS.linkSilenceMs, resolve);
    });
    await Promise.race([Promise.all(this.#changes), over]);
    stopWaiting();
    this.#feed.close();
    this.#logs.close();
  }

  #noteChange(response: ServerResponse): void {
    const answered = new Promise<void>((resolve) => response.once('close', resolve));
    this.#changes.add(answered);
    void answered.then(() => this.#changes.delete(answered));
  }

  async #answer(route: Route, asked: Asked): Promise<void> {
    try {
      await route.answer(asked);
    } catch (error) {
      this.#options.log.error({ err: error, path: route.path }, 'a request for the store failed');
      const message = error instanceof StoreError ? error.message : 'The store failed at the request.';
      refuse(asked.response, new UserError('ServiceException', message));
    }
  }

  #makeRoutes(): readonly Route[] {
    const log = { path: `${PATHS.logs}/`, rest: NAME_PATTERN };
    return [
      { method: 'GET', path: PATHS.functions, roles: GATEWAYS, answer: (asked) => this.#stream(asked) },
      { method: 'POST', path: PATHS.call, rest: /^\w+$/, roles: GATEWAYS, answer: (asked) => this.#call(asked) },
      { method: 'GET', path: PATHS.code, rest: SHA256_PATTERN, roles: BOTH, answer: (asked) => this.#code(asked) },
      {
        method: 'GET',
        path: PATHS.versions,
        rest: KEY_PATTERN,
        roles: WORKERS,
        answer: (asked) => this.#version(asked),
      },
      { method: 'POST', path: PATHS.logs, roles: BOTH, answer: (asked) => this.#appendLog(asked) },
      { method: 'GET', ...log, roles: GATEWAYS, answer: (asked) => this.#readLog(asked) },
      { method: 'DELETE', ...log, roles: GATEWAYS, answer: (asked) => this.#deleteLog(asked) },
    ];
  }

  #stream({ response }: Asked): void {
    if (!this.#mayStream(response)) return;
    this.#feed.add(response);
  }

  #mayStream(response: ServerResponse): boolean {
    const count = this.#feed.readerCount + this.#logs.followerCount;
    if (count < LIMITS.storeStreamsMax) return true;
    refuse(response, new UserError('TooManyRequestsException', `The store has ${count} streams open, and no more.`));
    return false;
  }

  async #call({ request, response, rest }: Asked): Promise<void> {
    const id = String(request.headers[HEADERS.call] ?? '');
    const life = request.headers[HEADERS.life];
    if (!isMethod(rest))
      return refuse(response, new UserError('UnknownOperationException', `There is no call ${rest}.`));
    if (!CALL_ID_PATTERN.test(id)) return refuse(response, badRequest('A call needs an id, a UUID.'));
    if (life !== undefined && life !== this.#life) return sendJson(response, 409, { life: this.#life });
    const answer = await this.#bodies.with(request, bodyBytesMax(rest), (body) => this.#calls.call(id, rest, body));
    if (rest === 'enqueue') this.#options.enqueued?.();
    if (answer instanceof UserError) return refuse(response, answer);
    if (answer !== null) sendJson(response, 200, answer);
  }

  #code({ response, rest: sha256 }: Asked): Promise<void> {
    return this.#zips.run(async () => {
      if (response.destroyed) return;
      const zip = await this.#readZip({ sha256, zipBytes: 0 });
      if (zip instanceof UserError) return refuse(response, zip);
      const { clock } = this.#options;
      response.writeHead(200, { 'content-type': 'application/zip', 'content-length': zip.length });
      // Others wait behind it; who wants it gives up by then.
      const stopWaiting = clock.every(LIMITS.codeTimeoutMs, () => response.destroy());
      if (await new PacedWriter(response, clock).send(slices(zip))) response.end();
      stopWaiting();
    });
  }

  /** Its hash is checked by the store; what is found damaged is told to all gateways. */
  async #readZip(code: CodeRef): Promise<Buffer | UserError> {
    const { store } = this.#options;
    if (!store.codeSource.has(code.sha256)) {
      return new UserError('ResourceNotFoundException', `Code ${code.sha256} is not stored.`);
    }
    try {
      return await store.readZip(code);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const damage = store.codeError(code);
      if (damage !== null) this.#feed.setDamage(code.sha256, damage.message);
      return damage ?? new UserError('ServiceException', error.message);
    }
  }

  #version({ response, rest: key }: Asked): void {
    const body = this.#keys.get(key);
    if (body === null) return refuse(response, notFound(`No provisioned version has the key ${key}.`));
    send(response, 200, 'application/json', encodeVersion(body));
  }

  async #appendLog({ request, response }: Asked): Promise<void> {
    const bytesMax = LIMITS.logBufferBytesMax + LIMITS.storeCallBytesMax;
    const appended = await this.#bodies.with(request, bytesMax, (body) => Promise.resolve(this.#logs.append(body)));
    if (appended === null) return;
    if (appended instanceof UserError) return refuse(response, appended);
    if (!appended)
      return refuse(response, badRequest('This is no batch of log; the nodes may be of different versions.'));
    sendJson(response, 200, {});
  }

  async #readLog({ response, rest: functionName, query }: Asked): Promise<void> {
    const lineCount = Number(query.get('lines') ?? 0);
    if (!Number.isInteger(lineCount) || lineCount < 0 || lineCount > TAIL_LINES_MAX) {
      return refuse(response, badRequest(`lines has to be a number from 0 to ${TAIL_LINES_MAX}.`));
    }
    if (query.get('follow') === '1') {
      if (this.#mayStream(response)) this.#logs.follow(functionName, lineCount, response);
      return;
    }
    const text = Buffer.from(await this.#logs.tail(functionName, lineCount));
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'content-length': text.length });
    if (await new PacedWriter(response, this.#options.clock).send(slices(text))) response.end();
  }

  async #deleteLog({ response, rest: functionName }: Asked): Promise<void> {
    await this.#logs.delete(functionName);
    sendJson(response, 200, {});
  }

  /** Logged once: who asks what it may not, asks again. */
  #refuseRole(response: ServerResponse, { path, method, roles }: Route, peer: Peer): void {
    const message = `${method} ${path} is for a ${roles.join(' or a ')}; the certificate of ${peer.name} says ${peer.roles.join(', ')}.`;
    const key = `${peer.fingerprint} ${method} ${path}`;
    if (!this.#refused.has(key) && this.#refused.size < REFUSALS_LOGGED_MAX) {
      this.#refused.add(key);
      this.#options.log.warn({ node: peer.name, roles: peer.roles, path }, message);
    }
    refuse(response, new UserError('AccessDeniedException', message));
  }
}

function restOf({ path, rest }: Route, pathname: string): string | null {
  if (rest === undefined) return pathname === path ? '' : null;
  if (!pathname.startsWith(path)) return null;
  const found = pathname.slice(path.length);
  return rest.test(found) ? found : null;
}

function bodyBytesMax(method: Method): number {
  if (method === 'putCode') return LIMITS.zipBytesMax;
  if (method !== 'enqueue') return LIMITS.storeCallBytesMax;
  // The last one of a batch may be a whole one beyond its limit.
  return BASE64_GROWTH * (LIMITS.enqueueBatchBytesMax + LIMITS.asyncPayloadBytesMax) + LIMITS.storeCallBytesMax;
}

function refuseUnknown(response: ServerResponse, there: readonly Route[], pathname: string): void {
  const methods = there.map(({ method }) => method).join(', ');
  if (methods === '') return refuse(response, notFound(`The store has nothing at ${pathname}.`));
  response.setHeader('allow', methods);
  sendJson(response, 405, { error: wireError(badRequest(`${pathname} takes ${methods}.`)) });
}

function notFound(message: string): UserError {
  return new UserError('ResourceNotFoundException', message);
}

function badRequest(message: string): UserError {
  return new UserError('InvalidRequestContentException', message);
}

function shuttingDown(): UserError {
  return new UserError('ServiceUnavailableException', 'The node that has the store is shutting down.');
}

function refuse(response: ServerResponse, error: UserError): void {
  if (response.headersSent) response.destroy();
  else sendJson(response, error.status, { error: wireError(error) });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, 'application/json', Buffer.from(JSON.stringify(value)));
}

function send(response: ServerResponse, status: number, type: string, body: Buffer): void {
  // A body that nobody read would be taken for the next request.
  if (!response.req.complete) response.req.resume();
  response.writeHead(status, { 'content-type': type, 'content-length': body.length });
  response.end(body);
}
