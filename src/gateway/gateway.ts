/**
 * The HTTP face: the Lambda API, Perch's own, and the metrics, on node:http.
 *
 * The way of a request: guard (who is it) → invoke's fast path, or router → signature → body → the operation's
 * answer → bytes. A user's error is a value all the way; see failure.ts for what else can happen.
 */
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { assert } from '../base/assert.ts';
import { UserError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { answerClientError } from './client-error.ts';
import { CodeUrls } from './code-urls.ts';
import { serviceError } from './failure.ts';
import { Guard } from './guard.ts';
import { GatewayRequest, Invoker } from './lambda/invoke.ts';
import { LATEST, functionArn, notFound, parseFunctionRef } from './lambda/names.ts';
import { chainNotFound } from '../store/chains.ts';
import type { UidRange } from './peer.ts';
import type { Platform } from './platform.ts';
import { Refuser } from './raw-answer.ts';
import { BodyReader, type BodyRoute } from './read-body.ts';
import { sendBytes, sendError, sendErrorAndClose, sendJson } from './respond.ts';
import type { Answer, GatewayContext, GatewayLog, Route } from './route.ts';
import { Router } from './router.ts';

export interface GatewayOptions {
  readonly platform: Platform;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Secret by access key id. Empty: unsigned requests, on loopback only. */
  readonly keys?: ReadonlyMap<string, string>;
  readonly region?: string;
  readonly accountId?: string;
  readonly log: GatewayLog;
  /** Connections from processes of these host users are refused: the instances'. */
  readonly refuseUids?: UidRange | null;
  /** What GET /perch/v1/info answers; no secrets. */
  readonly info?: Readonly<Record<string, unknown>>;
  readonly shutdownGraceMs?: number;
}

/** Why the gateway does not listen, in words for the person who started it. */
export class ListenError extends Error {
  override name = 'ListenError';
}

export interface Gateway {
  /** Rejects with a `ListenError` where the address is taken, or is not loopback and no access keys are configured. */
  listen(): Promise<{ url: string }>;
  /** Stops accepting, and finishes what is in flight for as long as the grace period lasts. */
  close(): Promise<void>;
}

const FUNCTIONS_PATH = '/2015-03-31/functions/';
const INVOCATIONS = '/invocations';

/** Longer than what load balancers and SDKs keep idle connections for, so that it is they who close. */
const KEEP_ALIVE_MS = 75_000;
const CLOSE_POLL_MS = 25;

export function createGateway(options: GatewayOptions): Gateway {
  return new GatewayServer(options);
}

class GatewayServer implements Gateway {
  readonly #options: GatewayOptions;
  readonly #guard: Guard;
  readonly #router = new Router();
  readonly #bodies = new BodyReader();
  readonly #refuser = new Refuser();
  readonly #invoker: Invoker;
  readonly #context: GatewayContext;
  readonly #server: http.Server<typeof GatewayRequest>;
  #closing = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#guard = new Guard({
      host: options.host,
      keys: options.keys ?? new Map(),
      refuseUids: options.refuseUids ?? null,
    });
    this.#invoker = new Invoker(options.platform, this.#guard, options.log);
    this.#context = {
      platform: options.platform,
      account: { region: options.region ?? 'us-east-1', accountId: options.accountId ?? '000000000000' },
      codeUrls: new CodeUrls(),
      info: options.info ?? {},
      log: options.log,
      openStreams: new Set(),
    };
    this.#server = http.createServer(
      {
        IncomingMessage: GatewayRequest,
        headersTimeout: LIMITS.headersTimeoutMs,
        requestTimeout: LIMITS.requestTimeoutMs,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: LIMITS.headersTimeoutMs / 2,
        // Answered by the guard, in the form of all other refusals.
        requireHostHeader: false,
      },
      (request, response) => this.#handle(request, response),
    );
    this.#server.maxConnections = LIMITS.connectionsMax;
    this.#server.on('clientError', answerClientError);
    this.#server.on('checkExpectation', (request, response) => this.#refuseExpectation(request, response));
    this.#server.on('connect', (_, socket) => this.#refuser.refuse(socket as Socket, NO_PROXY));
    this.#guardConnections();
  }

  /** Node's own listener attaches a parser to a connection; those that are refused never get that far. */
  #guardConnections(): void {
    const server = this.#server;
    const accept = server.listeners('connection') as ((this: http.Server, socket: Socket) => void)[];
    assert(accept.length > 0, 'node:http listens for connections');
    server.removeAllListeners('connection');
    server.on('connection', (socket) => {
      const refusal = this.#guard.refuseConnection(socket);
      if (refusal !== null) return this.#refuser.refuse(socket, refusal);
      for (const listener of accept) listener.call(server, socket);
    });
  }

  async listen(): Promise<{ url: string }> {
    const refusal = this.#guard.refuseToListen();
    if (refusal !== null) throw new ListenError(refusal);
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => reject(listenError(error, host, port));
      this.#server.once('error', failed);
      this.#server.listen({ host, port, backlog: 1024 }, () => {
        this.#server.off('error', failed);
        resolve();
      });
    });
    const { port: bound } = this.#server.address() as AddressInfo;
    return { url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}` };
  }

  async close(): Promise<void> {
    if (this.#closing || !this.#server.listening) return;
    this.#closing = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const end of this.#context.openStreams) end();
    // Node closes the connections that are idle now; those that become idle later are ours to close.
    const sweep = setInterval(() => this.#server.closeIdleConnections(), CLOSE_POLL_MS);
    const grace = setTimeout(
      () => this.#server.closeAllConnections(),
      this.#options.shutdownGraceMs ?? LIMITS.shutdownGraceMs,
    );
    await closed;
    clearInterval(sweep);
    clearTimeout(grace);
  }

  #handle(request: GatewayRequest, response: ServerResponse): void {
    const refusal = this.#closing ? SHUTTING_DOWN : this.#guard.refuse(request);
    if (refusal !== null) return sendErrorAndClose(request, response, refusal, randomUUID());
    const { url = '', method = '' } = request;
    if (method === 'POST' && url.startsWith(FUNCTIONS_PATH) && url.endsWith(INVOCATIONS)) {
      const name = url.slice(FUNCTIONS_PATH.length, -INVOCATIONS.length);
      const fn = this.#context.platform.store.getVersion(name, LATEST);
      if (fn !== null) return this.#invoker.start(request, response, fn, '');
    }
    this.#route(request, response);
  }

  #refuseExpectation(request: GatewayRequest, response: ServerResponse): void {
    const expected = String(request.headers.expect).slice(0, EXPECTATION_SHOWN_LENGTH);
    const unknown = new UserError(
      'InvalidRequestContentException',
      `The request expects '${expected}'; the only expectation that is met is 100-continue.`,
    );
    sendErrorAndClose(request, response, this.#guard.refuse(request) ?? unknown, randomUUID());
  }

  /** Every other request, and invocations whose function is named in a rarer way, or not there. */
  #route(request: GatewayRequest, response: ServerResponse): void {
    const { url = '', method = '' } = request;
    const question = url.indexOf('?');
    const path = question === -1 ? url : url.slice(0, question);
    const query = new URLSearchParams(question === -1 ? '' : url.slice(question + 1));
    if (method === 'OPTIONS') return sendAllowed(response, this.#router.methods(path));
    const found = this.#router.find(method, path);
    if (found instanceof UserError) return this.#refuseUnrouted(request, response, found);
    if (found.kind === 'invoke')
      return this.#invoke(request, response, { name: found.functionName, qualifier: query.get('Qualifier') });
    if (found.kind === 'invoke-chain') return this.#invokeChain(request, response, found.chainName);
    const { route, params } = found;
    const { headers } = request;
    const answer = (body: Buffer): Answer | Promise<Answer> =>
      route.answer({ context: this.#context, params, query, headers, body });
    void this.#serve(request, response, route, answer);
  }

  /** Who is not known is told nothing about what there is: the signature comes first. */
  #refuseUnrouted(request: GatewayRequest, response: ServerResponse, refusal: UserError): void {
    const route = { operation: 'Invoke', bodyBytesMax: LIMITS.payloadBytesMax };
    void this.#serve(request, response, route, () => refusal);
  }

  #invoke(request: GatewayRequest, response: ServerResponse, named: { name: string; qualifier: string | null }): void {
    const { account, platform } = this.#context;
    const ref = parseFunctionRef(account, named.name, named.qualifier);
    if (ref instanceof UserError) return this.#refuseUnrouted(request, response, ref);
    const fn = platform.store.getVersion(ref.functionName, ref.qualifier ?? LATEST);
    if (fn === null) return this.#refuseUnrouted(request, response, notFound(account, ref));
    this.#invoker.start(request, response, fn, functionArn(account, ref.functionName, ref.qualifier));
  }

  #invokeChain(request: GatewayRequest, response: ServerResponse, chainName: string): void {
    const chain = this.#context.platform.store.getChain(chainName);
    if (chain === null) return this.#refuseUnrouted(request, response, chainNotFound(chainName));
    this.#invoker.start(request, response, chain, '');
  }

  async #serve(
    request: GatewayRequest,
    response: ServerResponse,
    route: BodyRoute & Pick<Route, 'access'>,
    answer: (body: Buffer) => Answer | Promise<Answer>,
  ): Promise<void> {
    const requestId = randomUUID();
    const claim = route.access === 'open' ? null : this.#guard.claim(request);
    if (claim instanceof UserError) return sendErrorAndClose(request, response, claim, requestId);
    const body = await this.#bodies.read(request, route);
    if (body === null) return;
    if (body instanceof UserError) return sendErrorAndClose(request, response, body, requestId);
    try {
      const refusal = this.#guard.verify(request, body, claim);
      send(response, refusal ?? (await answer(body)), requestId);
    } catch (error) {
      sendError(response, serviceError(this.#options.log, error, { operation: route.operation, requestId }), requestId);
    } finally {
      this.#bodies.release(body);
    }
  }
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): ListenError {
  const where = `${host}:${port}`;
  const words: Record<string, string> = {
    EADDRINUSE: `${where} is in use by another process; is Perch up already? Choose another --port.`,
    EACCES: `Not allowed to listen on ${where}; choose a --port above 1023.`,
    EADDRNOTAVAIL: `${host} is not an address of this machine; choose another --host.`,
  };
  return new ListenError(words[error.code ?? ''] ?? `Cannot listen on ${where}: ${error.message}`, { cause: error });
}

const EXPECTATION_SHOWN_LENGTH = 100;

const NO_PROXY = new UserError('UnknownOperationException', 'CONNECT is no operation of this gateway: it is no proxy.');

const SHUTTING_DOWN = new UserError('ServiceUnavailableException', 'The platform is shutting down.');

function send(response: ServerResponse, answer: Answer, requestId: string): void {
  if (response.destroyed) return;
  if (answer instanceof UserError) sendError(response, answer, requestId);
  else if ('stream' in answer) sendStream(response, answer.stream);
  else if ('bytes' in answer) sendBytes(response, answer, requestId);
  else sendJson(response, answer.status, answer.json, requestId);
}

function sendStream(response: ServerResponse, stream: (response: ServerResponse) => void): void {
  // Asked for the headers alone, a stream would never end.
  if (response.req.method === 'HEAD') response.writeHead(200).end();
  else stream(response);
}

function sendAllowed(response: ServerResponse, methods: readonly string[]): void {
  const allowed = methods.includes('GET') ? [...methods, 'HEAD', 'OPTIONS'] : [...methods, 'OPTIONS'];
  response.writeHead(methods.length === 0 ? 404 : 204, { Allow: allowed.join(', ') });
  response.end();
}
