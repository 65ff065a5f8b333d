// What runs inside a stem cell: boots the runtime, waits for the function whose zygote it becomes, initialises it, and
// forks copies of itself on demand. The frames are drawn in src/wire/zygote-frame.ts.
//
// A copy goes on in this process image, past the loop of its zygote: see copy.cjs. The order of what happens here is
// what makes a copy cheap: whatever can be done once is done before the fork.
'use strict';

const { openSync, readlinkSync, writeSync } = require('node:fs');
const process = require('node:process');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');
const ffi = require('./ffi.cjs');
const own = require('./own.cjs');
const channel = require('./channel.cjs');
const logs = require('./log.cjs');
const { loadHandler } = require('./handler.cjs');
const { becomeCopy } = require('./copy.cjs');
const descriptors = require('./descriptors.cjs');
const serve = require('./serve.cjs');
const separate = require('./separate.cjs');
const drawn = require('./drawn.cjs');
const uncopyable = require('./uncopyable.cjs');

const IN = 3;
const OUT = 4;
const HEADER_BYTES = 16;
const REAP_MS_MAX = 200;
const EXIT_COPY_FAILED = 70;
/** How long to wait for what is gone by itself, and between two looks. */
const GRACE_MS = 50;
const GRACE_PAUSE_MS = 2;
/** Nobody has asked a zygote for anything that long: it may do something for itself. */
const QUIET_MS = 20;
const CLONE_NEWPID = 0x20000000;
/** As in runtime.ts. */
const HEAP_SHARE = 0.85;

const Kind = {
  adopt: 2,
  fork: 3,
  reap: 4,
  cell: 32,
  initialised: 33,
  initError: 34,
  uncopyable: 35,
  exited: 36,
  log: 37,
};

const message = ffi.makeMessage(own.allocate(HEADER_BYTES));
const pidNamespace = openSync('/proc/self/ns/pid', 'r');
/** Descriptors that copies may not keep. */
let stale = [];
/** Nobody ever wakes who waits here. */
const pause = new Int32Array(new SharedArrayBuffer(4));
/** Numbers of the copies that live, by process id. */
const copies = new Map();

function send(kind, copy, body) {
  const frame = own.allocate(HEADER_BYTES + own.byteLength(body, 'latin1'));
  frame.fill(0, 0, HEADER_BYTES);
  own.writeUInt32LE(frame, frame.length - HEADER_BYTES, 0);
  frame[4] = kind;
  own.writeUInt32LE(frame, copy, 8);
  frame.write(body, HEADER_BYTES, 'latin1');
  for (let at = 0; at < frame.length;) at += writeSync(OUT, frame, at);
}

function sendText(kind, text) {
  send(kind, 0, Buffer.from(text).toString('latin1'));
}

/** Waits for the next frame. The agent's end ends this process too. */
function receive() {
  const rights = [];
  let filled = 0;
  const header = message.bytes;
  while (filled < HEADER_BYTES) {
    // One frame at a time: descriptors belong to the header that they came with.
    const count = ffi.receive(IN, filled === 0 ? message : rest(header, filled), HEADER_BYTES - filled, rights);
    if (count === 0) own.exit(0);
    filled += count;
  }
  const body = own.allocate(own.readUInt32LE(header, 0));
  for (let at = 0; at < body.length;) {
    const count = ffi.receive(IN, ffi.makeMessage(body.subarray(at)), body.length - at, rights);
    if (count === 0) own.exit(0);
    at += count;
  }
  return { kind: header[4], flags: header[5], copy: own.readUInt32LE(header, 8), body, rights };
}

function rest(header, filled) {
  return ffi.makeMessage(header.subarray(filled));
}

/** What is right already is left alone: to set TZ makes V8 read its time zones anew, which takes 20 ms. */
function setEnvironment(env) {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  for (const [name, value] of Object.entries(env)) if (process.env[name] !== value) process.env[name] = value;
}

/** `before`: what the cell had that is no function's doing. */
async function adopt(frame, before) {
  setEnvironment(own.parseJson(own.utf8Slice(frame.body, 0, frame.body.length)).env);
  // Without it V8 lets garbage grow as if the whole machine were the function's.
  ffi.limitHeap(Math.floor(process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE * HEAP_SHARE) * 1024 * 1024);
  process.chdir(process.env.LAMBDA_TASK_ROOT);
  serve.configure();
  const say = (text) => sendText(Kind.initError, text);
  serve.guard(say);
  try {
    serve.use(await loadHandler(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER));
  } catch (error) {
    serve.failInit(error);
  }
  serve.afterInit(() => offer(before, own.now()));
}

/** Again in later turns, where what initialisation left may end soon: a timer that is due, a file that is read, a connection that closes. */
function offer(before, sinceMs) {
  const reasons = uncopyable.reasons(before);
  if (reasons.length > 0 && own.now() - sinceMs < GRACE_MS) {
    // A timer would be one more of the function's.
    own.wait(pause, 0, 0, GRACE_PAUSE_MS);
    return void own.setImmediate(() => offer(before, sinceMs));
  }
  if (reasons.length > 0) {
    sendText(Kind.uncopyable, reasons.join('\n'));
    return void receive();
  }
  // Rehearsed here, the code of the path is compiled once for all copies.
  serve.rehearse(() => {
    const said = drawn.settle();
    if (said !== '') logs.log('WARN', said);
    serve.initialised();
    send(Kind.initialised, 0, '');
    logs.useKind(channel.Kind.log);
    forkOnDemand();
  });
}

/** The contexts of functions never show them gc(). */
function collectYoung() {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  collect({ type: 'minor' });
}

/** Returns in copies alone. */
function forkOnDemand() {
  const folder = readlinkSync('/proc/self/cwd');
  let isTidy = false;
  for (;;) {
    const frame = receive();
    if (frame.kind === Kind.fork && fork(frame, folder)) return;
    // What garbage a copy begins with, it would soon have to collect itself. Not while the copy just made needs the core.
    if (!isTidy && !ffi.isReadable(IN, QUIET_MS)) {
      collectYoung();
      isTidy = true;
    }
    reap();
    if (frame.kind !== Kind.reap) continue;
    // Who asks has seen the copy close its descriptors, which is a little before it can be reaped.
    for (let wait = 0; isUnreaped(frame.copy) && wait < REAP_MS_MAX; wait++) {
      own.wait(pause, 0, 0, 1);
      reap();
    }
  }
}

function reap() {
  for (let ended = ffi.reap(); ended !== null; ended = ffi.reap()) report(ended);
}

function isUnreaped(copy) {
  for (const number of copies.values()) if (number === copy) return true;
  return false;
}

/** True in the copy. `folder`: where the function's initialisation left its working folder. */
function fork(frame, folder) {
  let id;
  try {
    ffi.unshare(CLONE_NEWPID);
    id = ffi.fork();
    if (id === 0) {
      become(frame, folder);
      return true;
    }
    copies.set(id, frame.copy);
    ffi.setns(pidNamespace, CLONE_NEWPID);
  } finally {
    // The agent sees the end of a copy that never was when nobody holds its descriptors any more.
    if (id !== 0) for (const descriptor of frame.rights) ffi.close(descriptor);
  }
  return false;
}

/** What fails before the copy has its own channel must not be told on its zygote's, where it would be a breach. */
function become(frame, folder) {
  try {
    becomeCopy(frame, { pidNamespace, stale, folder });
  } catch (error) {
    const text = Buffer.from(`a copy could not be made: ${error.message}\n`);
    try {
      writeSync(frame.rights[2], text);
    } catch {
      // It is descriptor 2 by now.
      writeSync(2, text);
    } finally {
      ffi.exit(EXIT_COPY_FAILED);
    }
  }
}

function report([id, status]) {
  const copy = copies.get(id);
  if (copy === undefined) return;
  copies.delete(id);
  const body = own.allocate(4);
  own.writeUInt32LE(body, status >>> 0, 0);
  send(Kind.exited, copy, body.toString('latin1'));
}

function boot() {
  // A copy is 1: with another number here OpenSSL notices the fork.
  if (ffi.getpid() === 1) throw new Error('a cell is not the first process of its namespace');
  separate.prepare();
  logs.useKind(Kind.log);
  // Makes the streams of standard output, which are no function's doing.
  logs.install();
  stale = descriptors.findStale();
  serve.rehearse(() => {
    const before = uncopyable.baseline();
    send(Kind.cell, 0, '');
    const frame = receive();
    if (frame.kind !== Kind.adopt) own.exit(1);
    void adopt(frame, before);
  });
}

boot();
