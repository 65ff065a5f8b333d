// What a copy of a Node process would share with every other copy, made its own: random streams, process id, clocks,
// the ways to exit. `prepare` replaces each before any code of the function runs, so that whoever keeps a reference
// keeps the right one; `separate` is called in each copy.
'use strict';

const crypto = require('node:crypto');
const { syncBuiltinESMExports } = require('node:module');
const { constants } = require('node:os');
const { performance } = require('node:perf_hooks');
const process = require('node:process');
const drawn = require('./drawn.cjs');
const ffi = require('./ffi.cjs');
const own = require('./own.cjs');

/** crypto keeps random bytes in store for so many calls. */
const UUID_CACHE = 128;
const INT_CACHE = 1024;

const SIGNAL_STATUS = 128;
/** They do not end a process. */
const HARMLESS = new Set(['SIGCHLD', 'SIGCONT', 'SIGURG', 'SIGWINCH', 'SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU']);

const random = { a: 1, b: 2, c: 3, d: 4 };

/** xoshiro128** (Blackman and Vigna, 2018): V8's own generator cannot be seeded again. */
function next32() {
  const { b } = random;
  const x = Math.imul(b, 5);
  const result = Math.imul((x << 7) | (x >>> 25), 9);
  random.c ^= random.a;
  random.d ^= b;
  random.b ^= random.c;
  random.a ^= random.d;
  random.c ^= b << 9;
  random.d = (random.d << 11) | (random.d >>> 21);
  return result >>> 0;
}

/** A function that draws from what crypto has in store. Where the zygote drew too, a copy first uses up what is left. */
function renewing(original, burn, cacheCount) {
  let used = false;
  let stale = false;
  const replaced = function (...values) {
    used = true;
    if (stale) {
      stale = false;
      for (let count = 0; count < cacheCount; count++) burn();
    }
    return original.apply(this, values);
  };
  drawn.disguise(replaced, original);
  return { replaced, copied: () => void (stale = used) };
}

const uuid = renewing(crypto.randomUUID, crypto.randomUUID, UUID_CACHE);
const originalInt = crypto.randomInt;
const int = renewing(originalInt, () => originalInt(2), INT_CACHE);

let clockOffsetMs = 0;
let timeOrigin = performance.timeOrigin;
let uptimeOffsetS = 0;

/**
 * A copy is process 1 of its namespace, and the kernel keeps signals that process 1 sends itself from ending it. As a
 * shell would, it ends with the status that stands for the signal.
 */
function replaceKill(kill) {
  return (id, signal) => {
    const name = typeof signal === 'number' ? nameOf(signal) : (signal ?? 'SIGTERM');
    const isSelf = Number(id) === process.pid && process.pid === 1;
    if (isSelf && !HARMLESS.has(name) && process.listenerCount(name) === 0 && constants.signals[name] !== undefined)
      ffi.exit(SIGNAL_STATUS + constants.signals[name]);
    return kill(id, signal);
  };
}

function nameOf(number) {
  return Object.keys(constants.signals).find((name) => constants.signals[name] === number);
}

function prepare() {
  seed();
  Math.random = () => ((next32() >>> 5) * 67108864 + (next32() >>> 6)) / 9007199254740992;
  crypto.randomUUID = uuid.replaced;
  crypto.randomInt = int.replaced;
  Object.getPrototypeOf(crypto.webcrypto).randomUUID = uuid.replaced;
  drawn.watch();
  const now = performance.now.bind(performance);
  performance.now = () => now() - clockOffsetMs;
  Object.defineProperty(performance, 'timeOrigin', { get: () => timeOrigin, configurable: true, enumerable: true });
  const uptime = process.uptime.bind(process);
  process.uptime = () => uptime() - uptimeOffsetS;
  // Node's own way out waits for threads that a copy does not have.
  process.reallyExit = ffi.exit;
  own.exit = ffi.exit;
  process.abort = () => ffi.exit(SIGNAL_STATUS + constants.signals.SIGABRT);
  process.kill = replaceKill(process.kill.bind(process));
  syncBuiltinESMExports();
}

function seed() {
  // Not from OpenSSL, which takes 0.2 ms to seed itself in a new process: it does when the function first asks it.
  const bytes = ffi.randomBytes(16);
  random.a = own.readUInt32LE(bytes, 0) | 1;
  random.b = own.readUInt32LE(bytes, 4);
  random.c = own.readUInt32LE(bytes, 8);
  random.d = own.readUInt32LE(bytes, 12);
}

function separate() {
  // OpenSSL notices by itself that the process has another number than the one that seeded it, and seeds anew.
  seed();
  drawn.refill();
  uuid.copied();
  int.copied();
  Object.defineProperty(process, 'pid', { value: ffi.getpid(), enumerable: true, configurable: true, writable: true });
  clockOffsetMs += performance.now();
  uptimeOffsetS += process.uptime();
  timeOrigin = Date.now();
}

module.exports = { prepare, separate };
