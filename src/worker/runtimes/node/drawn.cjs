// What a function's initialisation drew from crypto, which its copies would share. `watch` comes before any code of the
// function, `settle` when it is initialised, `refill` in each copy.
//
// Buffers that it had filled are pools of random bytes, as nanoid and uuid have them: each copy fills its own again.
//
//   filled at initialisation   rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr
//   when it is initialised     rrrrrrrrrrtextrrrrrrrrrrrr0000rr
//   in a copy                  ssssssss----ssssssssssss--------    what was written over it since stays, in whole blocks
//
// They are held until the copy has filled them, or by their zygote for ever: hence the limits. What else came of random
// values, a key or a name, nobody can tell; that there were some is said in the function's log.
'use strict';

const crypto = require('node:crypto');
const ffi = require('./ffi.cjs');
const own = require('./own.cjs');

const { apply } = Reflect;

/** What is smaller is rather a key, a salt or a name, and something may have been made of it. */
const POOL_BYTES_MIN = 128;
const POOL_COUNT_MAX = 64;
/** A copy fills them in well below a millisecond. */
const POOLS_BYTES_MAX = 256 * 1024;
const BLOCK_BYTES = 16;
const PLACES_MAX = 3;
/** What a stack trace says of code that is none of Node's own. */
const PLACE = /\bat (?:.*\()?(?:file:\/\/)?(\/.*:\d+:\d+)\)?$/m;

const DRAWS = [
  [crypto, 'randomBytes'],
  [crypto, 'randomUUID'],
  [crypto, 'randomInt'],
  [crypto, 'generateKey'],
  [crypto, 'generateKeySync'],
  [crypto, 'generateKeyPair'],
  [crypto, 'generateKeyPairSync'],
  [crypto, 'generatePrime'],
  [crypto, 'generatePrimeSync'],
  [crypto.ECDH.prototype, 'generateKeys'],
  [crypto.DiffieHellman.prototype, 'generateKeys'],
  [Object.getPrototypeOf(crypto.webcrypto), 'randomUUID'],
  [Object.getPrototypeOf(crypto.webcrypto.subtle), 'generateKey'],
];

let watching = true;
/** Where each was first called, by its name. */
const places = new Map();
/** There were more pools than could be remembered. */
let isFull = false;
/** `bytes`: the function's own memory. `filled`: what was filled into it. */
let pools = [];
let poolsBytes = 0;
/** What copies fill again. */
let ranges = [];
let rangesBytes = 0;

/** With all that shows of the original: its name, its length, how it is promisified. */
function disguise(replaced, original) {
  return Object.defineProperties(replaced, Object.getOwnPropertyDescriptors(original));
}

/** `replaced`: the function that was called, below which its caller stands. */
function note(name, replaced) {
  if (places.has(name)) return;
  const at = {};
  try {
    own.captureStackTrace(at, replaced);
    const place = PLACE.exec(String(at.stack))?.[1];
    places.set(name, place === undefined ? name : `${name} at ${place}`);
  } catch {
    // Functions can have their stack traces made by code of their own.
    places.set(name, name);
  }
}

function watchDraw(owner, name) {
  const original = owner[name];
  const replaced = function (...values) {
    if (watching) note(name, replaced);
    return apply(original, this, values);
  };
  owner[name] = disguise(replaced, original);
}

/** Offset and size count elements, as in crypto.randomFillSync. */
function remember(target, offset = 0, size) {
  const unit = target.BYTES_PER_ELEMENT ?? 1;
  const from = offset * unit;
  const length = size === undefined ? target.byteLength - from : size * unit;
  if (!watching || length < POOL_BYTES_MIN) return;
  const memory = target.buffer ?? target;
  const start = (target.byteOffset ?? 0) + from;
  let pool = pools.find((each) => each.memory === memory && each.start === start && each.bytes.length === length);
  if (pool === undefined) {
    const isOver = pools.length === POOL_COUNT_MAX || poolsBytes + length > POOLS_BYTES_MAX;
    isFull ||= isOver;
    if (isOver) return;
    pool = { memory, start, bytes: own.view(memory, start, length), filled: own.allocate(length) };
    pools.push(pool);
    poolsBytes += length;
  }
  own.copy(pool.bytes, pool.filled, 0, 0, length);
}

/** `isPart`: takes an offset and a size, and the last may be a function to call when it is done. */
function watchFill(owner, name, isPart) {
  const original = owner[name];
  const replaced = function (...values) {
    if (!watching) return apply(original, this, values);
    note(name, replaced);
    const done = values.at(-1);
    if (typeof done !== 'function') {
      const result = apply(original, this, values);
      remember(...(isPart ? values : values.slice(0, 1)));
      return result;
    }
    const place = values.slice(0, -1);
    const filled = function (...results) {
      if (!results[0]) remember(...place);
      return apply(done, this, results);
    };
    return apply(original, this, [...place, filled]);
  };
  owner[name] = disguise(replaced, original);
}

function watch() {
  for (const [owner, name] of DRAWS) watchDraw(owner, name);
  watchFill(crypto, 'randomFillSync', true);
  watchFill(crypto, 'randomFill', true);
  watchFill(Object.getPrototypeOf(crypto.webcrypto), 'getRandomValues', false);
}

/** Where the pool is as it was filled; nowhere if its memory was given away. */
function unchanged({ bytes, filled }) {
  const found = [];
  let from = -1;
  for (let block = 0; block < bytes.length; block += BLOCK_BYTES) {
    const end = Math.min(block + BLOCK_BYTES, bytes.length);
    let at = block;
    while (at < end && bytes[at] === filled[at]) at++;
    if (at === end && from < 0) from = block;
    if (at < end && from >= 0) {
      found.push(bytes.subarray(from, block));
      from = -1;
    }
  }
  if (from >= 0) found.push(bytes.subarray(from));
  return found;
}

/** Answers what is to be said of it; '' for nothing. */
function settle() {
  watching = false;
  ranges = pools.flatMap(unchanged);
  rangesBytes = ranges.reduce((sum, range) => sum + range.length, 0);
  pools = [];
  if (places.size === 0) return '';
  const some = [...places.values()].slice(0, PLACES_MAX);
  const more = places.size > PLACES_MAX ? ', …' : '';
  return (
    `Initialisation drew random values (${some.join(', ')}${more}). What it made of them is the same in every instance ` +
    `that is copied from it: see isolation 'process'.${isFull ? ' So are the bytes that it filled, of more than 64 buffers or 256 KB.' : ''}`
  );
}

function refill() {
  if (rangesBytes === 0) return;
  // In one call of the kernel.
  const fresh = ffi.randomBytes(rangesBytes);
  let at = 0;
  for (const range of ranges) {
    own.copy(fresh, range, 0, at, at + range.length);
    at += range.length;
  }
  ranges = [];
}

module.exports = { disguise, watch, settle, refill };
