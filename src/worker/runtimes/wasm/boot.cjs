// What runs inside the sandbox of a WebAssembly function: compiles the module, then answers one invocation after the
// other, each with a fresh instance. No code of the function runs outside of its instance, but nothing here relies on
// it: the agent checks every frame, and everything else is the sandbox's task.
'use strict';

const { isUtf8 } = require('node:buffer');
const { Kind, FLAG_LAST, receive, send } = require('./channel.cjs');
const { collect } = require('./collect.cjs');
const { TypedError, errorBytes } = require('./errors.cjs');
const { Host, imports } = require('./instance.cjs');
const log = require('./log.cjs');
const { loadModule } = require('./module.cjs');
const perch = require('./perch.cjs');
const wasi = require('./wasi.cjs');

const EXIT_INIT_ERROR = 1;
const NOTHING = Buffer.alloc(0);

let loaded;
/** The instance of the next invocation. */
let waiting = null;

/** An instance that cannot be made ahead, for want of memory, is tried again when its invocation is there. */
function prepare() {
  try {
    waiting = new Host(loaded);
  } catch (error) {
    if (!(error instanceof TypedError)) throw error;
    waiting = null;
  }
}

function badPayload(payload) {
  if (!isUtf8(payload)) return 'the payload is not UTF-8';
  try {
    JSON.parse(payload.utf8Slice());
    return null;
  } catch (error) {
    return error.message;
  }
}

function answer(invocation, host) {
  const { sequence } = invocation;
  perch.enter(sequence);
  try {
    const result = host.run(invocation);
    log.flush();
    send(Kind.response, 0, sequence, result);
  } catch (error) {
    if (!(error instanceof TypedError)) throw error;
    const body = errorBytes(error);
    log.line('ERROR', `Invoke Error\t${body.toString('utf8')}`);
    send(Kind.error, 0, sequence, body);
  } finally {
    perch.leave();
  }
}

/** Null where it answered that there can be none. */
function make(invocation) {
  try {
    return new Host(loaded);
  } catch (error) {
    if (!(error instanceof TypedError)) throw error;
    send(Kind.error, 0, invocation.sequence, errorBytes(error));
    return null;
  }
}

/** The size of the memory that its instance leaves: when this returns nobody refers to the instance any more. */
function run(invocation) {
  const host = waiting ?? make(invocation);
  waiting = null;
  if (host === null) return 0;
  answer(invocation, host);
  wasi.enter(null);
  return host.memoryBytes;
}

function serve() {
  const invocation = receive();
  if (invocation === null) process.reallyExit(0);
  log.enter(invocation.requestId, invocation.sequence);
  const fault = badPayload(invocation.payload);
  if (fault === null) collect(run(invocation));
  else send(Kind.badPayload, 0, invocation.sequence, Buffer.from(fault));
  if (waiting === null) prepare();
  // V8 has chores (freeing code, say) that it does only between two turns of the event loop.
  setImmediate(serve);
}

function boot() {
  try {
    loaded = loadModule(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER, imports);
    waiting = new Host(loaded);
  } catch (error) {
    if (!(error instanceof TypedError)) throw error;
    const body = errorBytes(error);
    log.line('ERROR', `Init Error\t${body.toString('utf8')}`);
    send(Kind.initError, FLAG_LAST, 0, body);
    process.reallyExit(EXIT_INIT_ERROR);
  }
  send(Kind.ready, 0, 0, NOTHING);
  setImmediate(serve);
}

boot();
