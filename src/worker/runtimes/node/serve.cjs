// Answers one invocation after the other with the function's handler; what a plain instance and a copy have in common.
// It shares its process with the function's code, which is hostile: nothing here protects the platform. The agent
// checks every frame, and everything else is the sandbox's task.
'use strict';

// Functions replace the global one.
const process = require('node:process');
const { subscribe } = require('node:diagnostics_channel');
const channel = require('./channel.cjs');
const { Context, readEnvironment } = require('./context.cjs');
const { errorText, typedError } = require('./errors.cjs');
const logs = require('./log.cjs');
const own = require('./own.cjs');
const { CHANNEL } = require('./perch-module.cjs');

const { Kind, FLAG_LAST, receive } = channel;

const EXIT_INIT_ERROR = 1;
const EXIT_REJECTION = 128;
const EXIT_EXCEPTION = 129;

let responseBytesMax = Infinity;
let arn = '';
/** Where answers go; a rehearsal's go nowhere. */
let { send } = channel;

let handler;
/** What goes wrong is an error of the initialisation. */
let initialising = true;
/** One invocation, then the end. */
let once = false;
/** The invocation that is running; null between two, and before the first. */
let current = null;
let trace;
/** How the agent is told that initialisation failed; a zygote says it in its own way. */
let sendInitError = (text) => send(Kind.initError, FLAG_LAST, 0, text);

function finish(kind, text) {
  const { sequence } = current;
  current = null;
  if (once && sequence > 0) {
    send(kind, FLAG_LAST, sequence, text);
    own.exit(0);
  }
  send(kind, 0, sequence, text);
  // A turn of the event loop between two invocations lets what they left behind (closed sockets, say) be seen.
  own.setImmediate(serve);
}

function succeed(result) {
  let text;
  try {
    text = own.stringifyJson(result) ?? 'null';
  } catch (error) {
    return fail(typedError('Runtime.MarshalError', `Unable to stringify response body: ${error.message}`));
  }
  if (text.length * 3 > responseBytesMax && own.byteLength(text) > responseBytesMax) {
    const message = `Response payload size exceeded maximum allowed payload size (${responseBytesMax} bytes).`;
    return fail(typedError('Function.ResponseSizeTooLarge', message));
  }
  finish(Kind.response, text);
}

function fail(thrown) {
  const text = errorText(thrown);
  logs.log('ERROR', 'Invoke Error', text);
  finish(Kind.error, text);
}

/** What callback handlers and context.done call. The first call counts. */
function makeSettle(invocation, context) {
  return (error, result) => {
    if (current !== invocation || invocation.settled) return;
    invocation.settled = true;
    invocation.answer = error === undefined || error === null ? () => succeed(result) : () => fail(error);
    if (!context.callbackWaitsForEmptyEventLoop) invocation.answer();
  };
}

/** Of this invocation, or none: never that of the last one. */
function setTrace(id) {
  if (id === trace) return;
  trace = id;
  if (id === undefined) delete process.env._X_AMZN_TRACE_ID;
  else process.env._X_AMZN_TRACE_ID = id;
}

function run(invocation) {
  logs.enter(invocation.requestId, invocation.sequence);
  let event;
  try {
    event = own.parseJson(invocation.payload);
  } catch (error) {
    current = invocation;
    return finish(Kind.badPayload, error.message);
  }
  current = invocation;
  setTrace(invocation.extra?.traceId);
  const context = new Context(invocation, arn, (error, callbackResult) => settle(error, callbackResult));
  const settle = makeSettle(invocation, context);
  let result;
  try {
    result = handler(event, context, settle);
  } catch (error) {
    return fail(error);
  }
  if (typeof result?.then === 'function') {
    result.then(
      (value) => current === invocation && succeed(value),
      (error) => current === invocation && fail(error),
    );
  } else if (result !== undefined && !invocation.settled && handler.length < 3) {
    succeed(result);
  }
  // Otherwise a callback will answer, or the empty event loop does.
}

function serve() {
  const invocation = receive();
  if (invocation === null) own.exit(0);
  run(invocation);
}

/** Nothing is left that could still answer: a callback's result is due now, or Lambda's null. */
function onEmptyLoop() {
  if (current === null) return;
  if (current.answer) current.answer();
  else succeed(null);
}

function onFatal(thrown, code, label) {
  try {
    const text = errorText(thrown);
    logs.log('ERROR', label, text);
    if (initialising) sendInitError(text);
    else if (current !== null) send(Kind.error, FLAG_LAST, current.sequence, text);
  } catch {
    // The function has closed the channel: its end says the rest.
  }
  own.exit(code);
}

function onRejection(reason) {
  const error = typedError('Runtime.UnhandledPromiseRejection', String(reason?.message ?? reason));
  if (reason instanceof Error) error.stack = `Runtime.UnhandledPromiseRejection: ${reason.stack}`;
  onFatal(error, EXIT_REJECTION, 'Unhandled Promise Rejection');
}

/** Of the invocation that runs; outside of one there is nothing to yield. */
function hint(said) {
  if (current !== null) send(said === 'sleeping' ? Kind.sleeping : Kind.awake, 0, current.sequence, '');
}

/** Takes what the agent set for it out of the environment. */
function configure() {
  responseBytesMax = Number(process.env.PERCH_RESPONSE_BYTES_MAX);
  arn = process.env.PERCH_FUNCTION_ARN;
  delete process.env.PERCH_RESPONSE_BYTES_MAX;
  delete process.env.PERCH_FUNCTION_ARN;
  readEnvironment();
  logs.install();
  subscribe(CHANNEL, hint);
}

/** Before any code of the function runs. */
function guard(initError) {
  if (initError !== undefined) sendInitError = initError;
  process.on('beforeExit', onEmptyLoop);
  process.on('uncaughtException', (error) => onFatal(error, EXIT_EXCEPTION, 'Uncaught Exception'));
  process.on('unhandledRejection', onRejection);
}

function failInit(error) {
  onFatal(error, EXIT_INIT_ERROR, 'Init Error');
}

function use(loaded) {
  handler = loaded;
}

function serveOnce() {
  once = true;
}

/** Calls `next` when what initialisation left behind has had its say: a rejection that nobody handles, a connection that closes. */
function afterInit(next) {
  own.setImmediate(() => own.setImmediate(next));
}

function initialised() {
  initialising = false;
}

function start() {
  initialised();
  send(Kind.ready, 0, 0, '');
  own.setImmediate(serve);
}

const REHEARSAL = { sequence: 0, deadlineMs: 0, requestId: '', extra: null, payload: '{"rehearsal":[1,"2"]}' };

/**
 * One dummy invocation through the whole path, so that a copy has its own pages of it when its invocation comes. It
 * cannot run the function's handler, which has effects; `done` is called when it is over.
 */
function rehearse(done) {
  const rehearsed = handler;
  const { setImmediate: nextTurn } = own;
  handler = async (event, context) => ({ event, left: context.getRemainingTimeInMillis() });
  send = channel.rehearseSend;
  own.setImmediate = () => {
    own.setImmediate = nextTurn;
    handler = rehearsed;
    ({ send } = channel);
    nextTurn(done);
  };
  run(REHEARSAL);
}

module.exports = { configure, guard, failInit, use, afterInit, initialised, serveOnce, start, rehearse };
