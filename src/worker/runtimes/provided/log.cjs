// What the bootstrap writes to its descriptors 1 and 2, as frames on the channel. What it wrote before it answered is
// passed on before the answer, so that nothing of it is missing when the answer arrives.
'use strict';

const { readSync } = require('node:fs');
const { Kind, send } = require('./channel.cjs');

/** Well below what the agent accepts in one frame. */
const PIECE_BYTES = 60 * 1024;
/** At most this much is read before an answer: a child that never stops writing must not hold it up. */
const DRAIN_BYTES_MAX = 2 * 1024 * 1024;

/** Kept of what is written between two invocations, to be logged with the next one: nobody's log is open meanwhile. */
const HELD_BYTES_MAX = 64 * 1024;

const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
const descriptors = [];
let sequence = 0;
let idle = false;
let held = [];
let heldBytes = 0;

function hold(bytes) {
  if (heldBytes + bytes.length > HELD_BYTES_MAX) return;
  heldBytes += bytes.length;
  held.push(Buffer.from(bytes));
}

function pass(bytes) {
  if (idle) return hold(bytes);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    send(Kind.log, 0, sequence, bytes.subarray(at, Math.min(bytes.length, at + PIECE_BYTES)));
  }
}

/** Passes on what the stream brings from now on, which does not block. */
function attach(stream, descriptor) {
  descriptors.push(descriptor);
  stream.on('data', pass);
  stream.on('error', () => {});
}

/** Passes on what is there. */
function drain() {
  for (const descriptor of descriptors) {
    for (let total = 0; total < DRAIN_BYTES_MAX;) {
      let count = 0;
      try {
        count = readSync(descriptor, piece, 0, PIECE_BYTES, null);
      } catch {
        // EAGAIN: nothing more is there.
      }
      if (count === 0) break;
      total += count;
      pass(piece.subarray(0, count));
    }
  }
}

/** From now on what is written belongs to this invocation. */
function enter(number) {
  sequence = number;
  idle = false;
  for (const bytes of held) pass(bytes);
  held = [];
  heldBytes = 0;
}

/** The invocation is about to be answered. */
function leave() {
  drain();
  idle = true;
}

module.exports = { attach, drain, enter, leave };
