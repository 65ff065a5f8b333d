/**
 * Invoke: the hot path.
 *
 * Budget: 20,000 requests a second on one core for everything between the socket and `Platform.invoke` and back
 * (50 µs each, of which node:http takes about a third). Allocation rule: one `Call`, one request object for the
 * platform and one header array each; listeners are shared functions that find their call on the request; the body
 * is not copied if it came in one piece. Checked by `npm run bench -- invoke`.
 */
import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { IncomingMessage } from 'node:http';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import { missingStep, stepNotFound, stepText } from '../../store/chains.ts';
import type { Chain, FunctionVersion } from '../../store/store.ts';
import { serviceError } from '../failure.ts';
import type { Guard } from '../guard.ts';
import type { ChainRequest, ChainResult, InvokeRequest, InvokeResult, Platform, StepRecord } from '../platform.ts';
import { tooLarge } from '../read-body.ts';
import { sendError, sendErrorAndClose } from '../respond.ts';
import type { GatewayLog } from '../route.ts';
import type { Claim } from '../sigv4.ts';
import { jsonFault, notJson } from './body.ts';
import { validationError } from './constraints.ts';

/** Larger payloads are parsed once, in the instance, which answers for their form. */
const PARSED_HERE_BYTES_MAX = 64 * 1024;

/** Beyond this, joining a body to its headers costs more than the second buffer of a writev. */
const JOINED_BYTES_MAX = 16 * 1024;

const EMPTY_OBJECT = Buffer.from('{}');

/** What the HTTP server makes of each request: one with room for its call. */
export class GatewayRequest extends IncomingMessage {
  call: Call | null = null;
}

/** One invocation on its way through the gateway. */
class Call {
  readonly request: GatewayRequest;
  readonly response: ServerResponse;
  readonly invoker: Invoker;
  readonly target: FunctionVersion | Chain;
  readonly invokedArn: string;
  readonly requestId: string;
  readonly options: InvokeOptions;
  readonly claim: Claim | null;
  payload: Buffer | null = null;
  /** Only for a body in several pieces. */
  chunks: Buffer[] | null = null;
  bytes = 0;
  withdraw: (() => void) | null = null;
  /** Answered, or given up: whatever comes after is too late. */
  over = false;

  constructor(invoker: Invoker, request: GatewayRequest, response: ServerResponse, start: InvokeStart) {
    this.invoker = invoker;
    this.request = request;
    this.response = response;
    this.target = start.target;
    this.invokedArn = start.invokedArn;
    this.requestId = start.requestId;
    this.options = start.options;
    this.claim = start.claim;
  }
}

interface InvokeOptions {
  readonly type: 'RequestResponse' | 'Event' | 'DryRun';
  readonly tail: boolean;
  readonly clientContext: string;
}

interface InvokeStart {
  readonly target: FunctionVersion | Chain;
  readonly invokedArn: string;
  readonly requestId: string;
  readonly options: InvokeOptions;
  readonly claim: Claim | null;
}

/** What nearly every request asks for. */
const PLAIN: InvokeOptions = { type: 'RequestResponse', tail: false, clientContext: '' };

export class Invoker {
  readonly #platform: Platform;
  readonly #guard: Guard;
  readonly #log: GatewayLog;

  constructor(platform: Platform, guard: Guard, log: GatewayLog) {
    this.#platform = platform;
    this.#guard = guard;
    this.#log = log;
  }

  /** `invokedArn`: of a function, where its client named more than its name. */
  start(request: GatewayRequest, response: ServerResponse, target: FunctionVersion | Chain, invokedArn: string): void {
    const requestId = randomUUID();
    const claim = this.#guard.claim(request);
    if (claim instanceof UserError) return sendErrorAndClose(request, response, claim, requestId);
    const options = readOptions(request.headers);
    if (options instanceof UserError) return sendError(response, options, requestId);
    const call = new Call(this, request, response, { target, invokedArn, requestId, options, claim });
    if (Number(request.headers['content-length'] ?? 0) > bytesMax(options)) return refuseSize(call);
    request.call = call;
    request.on('data', onData);
    request.on('end', onEnd);
    response.on('close', onClose);
  }

  /** The body is complete. */
  run(call: Call): void {
    const payload = call.bytes === 0 ? EMPTY_OBJECT : (call.payload ?? Buffer.concat(call.chunks ?? []));
    call.payload = null;
    call.chunks = null;
    const refusal =
      this.#guard.verify(call.request, call.bytes === 0 ? Buffer.alloc(0) : payload, call.claim) ??
      payloadFault(payload, call.options);
    if (refusal !== null) return finishRefused(call, refusal);
    const { target, options } = call;
    if ('steps' in target && options.type !== 'RequestResponse' && this.#refusesChain(call, target)) return;
    if (options.type === 'DryRun') return finishEmpty(call, 204);
    const trace = call.request.headers['x-amzn-trace-id'];
    const traceId = typeof trace === 'string' ? trace : '';
    if ('steps' in target) return this.#runChain(call, { payload, traceId, chain: beginning(target) });
    const invocation: InvokeRequest = {
      requestId: call.requestId,
      fn: target,
      payload,
      clientContext: options.clientContext,
      traceId,
      invokedArn: call.invokedArn,
      tail: options.tail,
    };
    if (options.type === 'Event') return void this.#accept(call, () => this.#platform.invokeAsync(invocation));
    const withdraw = this.#platform.invoke(invocation, (result) => finish(call, result));
    if (!call.over) call.withdraw = withdraw;
  }

  /** What is not run at once is refused as if it were: for a step that is missing. */
  #refusesChain(call: Call, chain: Chain): boolean {
    const missing = missingStep(this.#platform.store, chain);
    if (missing < 0) return false;
    finishRefused(call, stepNotFound(chain, missing), stepHeaders(chain, missing));
    return true;
  }

  #runChain(call: Call, what: Pick<ChainRequest, 'payload' | 'traceId' | 'chain'>): void {
    const { type, tail, clientContext } = call.options;
    const request: ChainRequest = { ...what, requestId: call.requestId, tail, clientContext };
    if (type === 'Event') return void this.#accept(call, () => this.#platform.invokeChainAsync(request));
    const withdraw = this.#platform.invokeChain(request, (result) => finishChain(call, request, result));
    if (!call.over) call.withdraw = withdraw;
  }

  /** Answers only once it is on disk. */
  async #accept(call: Call, keep: () => Promise<UserError | null>): Promise<void> {
    try {
      const refusal = await keep();
      if (refusal === null) finishEmpty(call, 202);
      else finishRefused(call, refusal);
    } catch (error) {
      finishRefused(call, serviceError(this.#log, error, { operation: 'Invoke', requestId: call.requestId }));
    }
  }
}

function beginning({ chainName, steps }: Chain): ChainRequest['chain'] {
  return { chainName, steps, at: 0 };
}

function stepHeaders({ steps }: Pick<Chain, 'steps'>, step: number): string[] {
  return ['X-Perch-Step', stepText(steps[step]!), 'X-Perch-Step-Number', String(step + 1)];
}

function bytesMax(options: InvokeOptions): number {
  return options.type === 'Event' ? LIMITS.asyncPayloadBytesMax : LIMITS.payloadBytesMax;
}

function refuseSize(call: Call): void {
  call.over = true;
  call.payload = null;
  call.chunks = null;
  sendErrorAndClose(call.request, call.response, tooLarge(bytesMax(call.options), 'InvokeFunction'), call.requestId);
}

// Listeners, shared by all requests

function onData(this: GatewayRequest, chunk: Buffer): void {
  const { call } = this;
  if (call === null || call.over) return;
  call.bytes += chunk.length;
  if (call.bytes > bytesMax(call.options)) return refuseSize(call);
  if (call.chunks !== null) {
    call.chunks.push(chunk);
  } else if (call.payload === null) {
    call.payload = chunk;
  } else {
    call.chunks = [call.payload, chunk];
    call.payload = null;
  }
}

function onEnd(this: GatewayRequest): void {
  const { call } = this;
  if (call !== null && !call.over) call.invoker.run(call);
}

/** After the answer, or because the client went away: then nobody waits for the result. */
function onClose(this: ServerResponse): void {
  const { call } = this.req as GatewayRequest;
  if (call === null || call.over) return;
  call.over = true;
  call.withdraw?.();
}

// What the headers ask for

function readOptions(headers: IncomingHttpHeaders): InvokeOptions | UserError {
  const type = headers['x-amz-invocation-type'];
  const logType = headers['x-amz-log-type'];
  const context = headers['x-amz-client-context'];
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    return new UserError(
      'UnsupportedMediaTypeException',
      `The body has the Content-Encoding '${shown(encoding)}'; send plain JSON.`,
    );
  }
  if (type === undefined && logType === undefined && context === undefined) return PLAIN;
  return readRareOptions(type ?? 'RequestResponse', logType ?? 'None', context);
}

type Header = string | string[] | undefined;

function readRareOptions(type: Header, logType: Header, context: Header): InvokeOptions | UserError {
  const violations: string[] = [];
  if (type !== 'RequestResponse' && type !== 'Event' && type !== 'DryRun') {
    violations.push(
      `Value '${shown(type)}' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]`,
    );
  }
  if (logType !== 'None' && logType !== 'Tail') {
    violations.push(
      `Value '${shown(logType)}' at 'logType' failed to satisfy constraint: Member must satisfy enum value set: [None, Tail]`,
    );
  }
  if (violations.length > 0) return validationError(violations);
  const clientContext = context === undefined ? '' : decodeClientContext(String(context));
  if (clientContext instanceof UserError) return clientContext;
  return { type: type as InvokeOptions['type'], tail: logType === 'Tail', clientContext };
}

function decodeClientContext(text: string): string | UserError {
  if (text.length > LIMITS.clientContextBytesMax) {
    return new UserError(
      'InvalidRequestContentException',
      `Client context must be at most ${LIMITS.clientContextBytesMax} bytes of base64; it has ${text.length}.`,
    );
  }
  const bytes = Buffer.from(text, 'base64');
  const isObject =
    /^[A-Za-z0-9+/_-]*={0,2}$/.test(text) &&
    jsonFault(bytes) === null &&
    bytes.toString('utf8').trimStart().startsWith('{');
  if (isObject) return bytes.toString('utf8');
  return new UserError('InvalidRequestContentException', 'Client context must be a valid Base64-encoded JSON object.');
}

function shown(value: Header): string {
  return String(value).slice(0, 256);
}

function payloadFault(payload: Buffer, options: InvokeOptions): UserError | null {
  if (payload === EMPTY_OBJECT) return null;
  if (payload.length <= PARSED_HERE_BYTES_MAX || options.type === 'Event') return jsonFault(payload);
  return isUtf8(payload) ? null : notJson('the body is not UTF-8');
}

// Answers

function finish(call: Call, result: InvokeResult): void {
  if (!call.over) answer(call, result, (call.target as FunctionVersion).version, []);
}

/** The answer of the step that ended it, and which that was. */
function finishChain(call: Call, { chain }: ChainRequest, { result, step, records }: ChainResult): void {
  if (call.over) return;
  const target = chain.steps[step]!;
  const headers = stepHeaders(chain, step);
  if (result.kind === 'refused') return finishRefused(call, result.error, headers);
  const list = (value: (each: StepRecord) => number): string =>
    records.map((each) => Math.round(value(each))).join(', ');
  headers.push(
    'X-Perch-Steps-Between-Us',
    list((each) => each.betweenUs),
  );
  headers.push(
    'X-Perch-Steps-Run-Us',
    list((each) => each.record.runUs),
  );
  answer(call, result, target.version, headers);
}

function answer(call: Call, result: InvokeResult, version: string, more: readonly string[]): void {
  if (result.kind === 'refused') return finishRefused(call, result.error);
  call.over = true;
  const { payload, record } = result;
  const headers = [
    'Content-Type', 'application/json',
    'Content-Length', String(payload.length),
    'x-amzn-RequestId', call.requestId,
    'X-Amz-Executed-Version', version,
    'X-Perch-Core', String(record.core),
    'X-Perch-Start', record.start,
    'X-Perch-Queued-Us', String(Math.round(record.queuedUs)),
    'X-Perch-Start-Us', String(Math.round(record.startUs)),
    'X-Perch-Run-Us', String(Math.round(record.runUs)),
    ...more,
  ]; // oxfmt-ignore
  if (record.queuedAt >= 0) headers.push('X-Perch-Queued-At', `shard ${record.queuedAt}`);
  if (result.kind === 'error') headers.push('X-Amz-Function-Error', 'Unhandled');
  if (result.tail !== '') headers.push('X-Amz-Log-Result', Buffer.from(result.tail).toString('base64'));
  call.response.writeHead(200, headers);
  // A short body goes out in one piece with the headers, as the text that node:http joins them to.
  if (payload.length <= JOINED_BYTES_MAX) call.response.end(payload.toString('latin1'), 'latin1');
  else call.response.end(payload);
}

function finishRefused(call: Call, error: UserError, headers: readonly string[] = []): void {
  if (call.over) return;
  call.over = true;
  for (let at = 0; at < headers.length; at += 2) call.response.setHeader(headers[at]!, headers[at + 1]!);
  sendError(call.response, error, call.requestId);
}

function finishEmpty(call: Call, status: 202 | 204): void {
  if (call.over) return;
  call.over = true;
  const headers = ['x-amzn-RequestId', call.requestId];
  if ('version' in call.target) headers.push('X-Amz-Executed-Version', call.target.version);
  if (status === 202) headers.push('Content-Length', '0');
  call.response.writeHead(status, headers);
  call.response.end();
}
