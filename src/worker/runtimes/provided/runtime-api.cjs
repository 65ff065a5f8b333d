// Lambda's Runtime API over HTTP: what a bootstrap asks for, and what it is told where it asks out of turn. Statuses,
// error types and what is allowed when are those of AWS's own Runtime Interface Emulator.
//
//                   next               response, error             next
//      starting ───────────▶ idle ⇄ running ─────────────▶ answered ─────▶ idle
//          │ init/error
//          ▼
//        failed
//
// A `next` while an invocation runs is answered with that invocation again: its first answer may have been lost.
'use strict';

const PREFIX = '/2018-06-01/runtime/';
/** What Perch adds to it: `sleeping` and `awake`. */
const HINT = /^\/perch\/(sleeping|awake)(?:\?|$)/;
const INVOCATION = /^invocation\/([^/]+)\/(response|error)$/;
const ACCEPTED = { status: 202, body: '{"status":"OK"}' };
const NOTHING = Buffer.alloc(0);

function refusal(status, errorType, errorMessage) {
  return { status, body: JSON.stringify({ errorMessage, errorType }) };
}

/** Header values are bytes; JSON is still the same JSON with everything else escaped. */
function asciiJson(value) {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function respond(response, { status, body }) {
  if (response.destroyed) return;
  response.writeHead(status, ['Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(body))]);
  response.end(body);
}

/** Calls `done` with the whole body, or null if it exceeds `bytesMax`; not at all if the connection breaks before its end. */
function readBody(request, bytesMax, done) {
  const chunks = [];
  let bytes = 0;
  request.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes <= bytesMax) chunks.push(chunk);
    else chunks.length = 0;
  });
  request.on('end', () => {
    if (bytes > bytesMax) done(null);
    else done(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
  });
}

/** A Lambda error object, whatever the bootstrap sent. */
function errorBody(body, request) {
  const errorType = request.headers['lambda-runtime-function-error-type'];
  try {
    const value = JSON.parse(body.toString('utf8'));
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      if (value.errorType !== undefined || errorType === undefined) return body;
      return Buffer.from(JSON.stringify({ errorType, ...value }));
    }
  } catch {
    // Its text is the message, then.
  }
  return Buffer.from(
    JSON.stringify({ errorType: errorType ?? 'Runtime.Unknown', errorMessage: body.toString('utf8') }),
  );
}

/** The trailers of a streamed response that failed midway: an error object, or null. */
function trailingError(request) {
  const errorType = request.trailers['lambda-runtime-function-error-type'];
  if (errorType === undefined) return null;
  const body = Buffer.from(request.trailers['lambda-runtime-function-error-body'] ?? '', 'base64');
  return errorBody(body, { headers: { 'lambda-runtime-function-error-type': errorType } });
}

class RuntimeApi {
  #phase = 'starting';
  /** The last one that came, answered or not. */
  #invocation = null;
  #answered = true;
  /** Requests for the next one, oldest first. */
  #waiting = [];
  #arn;
  #bytesMax;
  #events;

  /** `events`: ready(), failed(body), response(body), error(body), hint(said). */
  constructor(arn, bytesMax, events) {
    this.#arn = arn;
    this.#bytesMax = bytesMax;
    this.#events = events;
  }

  /** An invocation for the bootstrap; it may have to wait until it is asked for. */
  give(invocation) {
    this.#invocation = invocation;
    this.#answered = false;
    const response = this.#waiting.shift();
    if (response !== undefined) this.#deliver(response);
  }

  handle(request, response) {
    const path = request.url.startsWith(PREFIX) ? request.url.slice(PREFIX.length).split('?', 1)[0] : '';
    if (path === 'invocation/next') return this.#expect('GET', request, response, () => this.#next(response));
    const [, requestId, what] = INVOCATION.exec(path) ?? [];
    if (what === 'response') return this.#expect('POST', request, response, () => this.#response(requestId, request, response)); // prettier-ignore
    if (what === 'error') return this.#expect('POST', request, response, () => this.#error(requestId, request, response)); // prettier-ignore
    if (path === 'init/error') return this.#expect('POST', request, response, () => this.#initError(request, response));
    const [, said] = HINT.exec(request.url) ?? [];
    if (said !== undefined) return this.#expect('POST', request, response, () => this.#hint(said, request, response));
    request.resume();
    respond(response, refusal(404, 'NotFound', notHere(request.url)));
  }

  #expect(method, request, response, handle) {
    if (request.method === method) return handle();
    request.resume();
    respond(response, refusal(405, 'MethodNotAllowed', `${request.method} ${request.url}: use ${method}`));
  }

  #next(response) {
    if (this.#phase === 'failed') return respond(response, this.#outOfTurn('RuntimeReady'));
    if (this.#phase === 'starting') {
      this.#phase = 'ready';
      this.#events.ready();
    }
    if (!this.#answered) return this.#deliver(response);
    this.#waiting.push(response);
    response.on('close', () => {
      const index = this.#waiting.indexOf(response);
      if (index >= 0) this.#waiting.splice(index, 1);
    });
  }

  #deliver(response) {
    const { requestId, deadlineMs, extra, payload } = this.#invocation;
    const headers = [
      'Content-Type',
      'application/json',
      'Lambda-Runtime-Aws-Request-Id',
      requestId,
      'Lambda-Runtime-Deadline-Ms',
      String(Math.floor(deadlineMs)),
      'Lambda-Runtime-Invoked-Function-Arn',
      extra?.arn ?? this.#arn,
      'Content-Length',
      String(payload.length),
    ];
    if (extra?.traceId !== undefined) headers.push('Lambda-Runtime-Trace-Id', extra.traceId);
    if (extra?.clientContext !== undefined)
      headers.push('Lambda-Runtime-Client-Context', asciiJson(extra.clientContext));
    response.writeHead(200, headers);
    response.end(payload);
  }

  #response(requestId, request, response) {
    const mode = request.headers['lambda-runtime-function-response-mode'];
    readBody(request, this.#bytesMax, (body) => {
      const fault = this.#faultOf(requestId, 'RuntimeInvocationResponse');
      if (fault !== null) return respond(response, fault);
      if (mode !== undefined && mode.toLowerCase() !== 'streaming') {
        return respond(response, refusal(400, 'InvalidFunctionResponseMode', 'Invalid function response mode'));
      }
      if (body === null) return this.#tooLarge(response);
      const error = trailingError(request);
      this.#answered = true;
      if (error === null) this.#events.response(body);
      else this.#events.error(error);
      respond(response, ACCEPTED);
    });
  }

  #tooLarge(response) {
    const errorMessage = `Response payload size exceeded maximum allowed payload size (${this.#bytesMax} bytes).`;
    this.#answered = true;
    this.#events.error(Buffer.from(JSON.stringify({ errorType: 'Function.ResponseSizeTooLarge', errorMessage })));
    const message = `Exceeded maximum allowed payload size (${this.#bytesMax} bytes).`;
    respond(response, refusal(413, 'RequestEntityTooLarge', message));
  }

  #error(requestId, request, response) {
    readBody(request, this.#bytesMax, (body) => {
      const fault = this.#faultOf(requestId, 'RuntimeInvocationErrorResponse');
      if (fault !== null) return respond(response, fault);
      if (body === null) return this.#tooLarge(response);
      this.#answered = true;
      this.#events.error(errorBody(body, request));
      respond(response, ACCEPTED);
    });
  }

  /** Of the invocation that runs; outside of one there is nothing to yield, and no reason to refuse. */
  #hint(said, request, response) {
    request.resume();
    if (!this.#answered) this.#events.hint(said);
    respond(response, ACCEPTED);
  }

  #initError(request, response) {
    readBody(request, this.#bytesMax, (body) => {
      if (this.#phase !== 'starting') return respond(response, this.#outOfTurn('RuntimeInitError'));
      this.#phase = 'failed';
      respond(response, ACCEPTED);
      this.#events.failed(errorBody(body ?? NOTHING, request));
    });
  }

  /** Why there can be no answer to this invocation now, or null. */
  #faultOf(requestId, next) {
    if (this.#invocation?.requestId !== requestId) return refusal(400, 'InvalidRequestID', 'Invalid request ID');
    return this.#answered ? this.#outOfTurn(next) : null;
  }

  #outOfTurn(next) {
    const state = this.#phase === 'ready' ? 'RuntimeResponseSent' : this.#phase;
    const message = `State transition from ${state} to ${next} failed for runtime. Error: State transition is not allowed`;
    return refusal(403, 'InvalidStateTransition', message);
  }
}

function notHere(url) {
  if (/^\/[^/]+\/(extension|telemetry|logs)/.test(url)) return `${url}: Lambda extensions are not supported here`;
  if (url.startsWith(`${PREFIX}restore/`)) return `${url}: this instance was not restored from a snapshot`;
  return `${url} is not part of the Runtime API, version 2018-06-01`;
}

module.exports = { RuntimeApi };
