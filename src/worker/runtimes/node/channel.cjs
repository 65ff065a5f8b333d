// The instance's end of its channel to the agent: frames in over descriptor 3 and out over 4. The layout is drawn in
// src/wire/instance-frame.ts; this is its copy in plain JavaScript, since nothing compiles inside a sandbox.
//
// Reading blocks on purpose. Between invocations an instance sits in read(2): it is frozen, as Lambda freezes it,
// costs no CPU whatever timers it left behind, and one system call brings the next invocation.
'use strict';

const { readSync, writeSync } = require('node:fs');
const own = require('./own.cjs');

const IN = 3;
const OUT = 4;
const HEADER_BYTES = 16;
const INVOKE_FIXED_BYTES = 8 + 36;
const REUSED_BYTES = 64 * 1024;

const Kind = Object.freeze({
  invoke: 1,
  ready: 16,
  initError: 17,
  response: 18,
  error: 19,
  log: 20,
  badPayload: 21,
  made: 22,
  sleeping: 23,
  awake: 24,
});

/** In `flags`: the instance ends after this frame. */
const FLAG_LAST = 1;

const incoming = own.allocate(REUSED_BYTES);
const outgoing = own.allocate(REUSED_BYTES);
/** Of the frame made last. */
let frameBytes = 0;

/** Fills `buffer` up to `end`; false when the agent is gone. */
function readUntil(buffer, from, end) {
  let at = from;
  while (at < end) {
    const count = readSync(IN, buffer, at, buffer.length - at, null);
    if (count === 0) return -1;
    at += count;
  }
  return at;
}

/**
 * Waits for the next invocation. Null when the agent is gone.
 * `payload` is text: the frame's buffer is used again for the next one.
 */
function receive() {
  let buffer = incoming;
  const first = readUntil(buffer, 0, HEADER_BYTES);
  if (first < 0) return null;
  const bodyBytes = own.readUInt32LE(buffer, 0);
  const end = HEADER_BYTES + bodyBytes;
  if (end > first) {
    if (end > buffer.length) {
      buffer = own.allocate(end);
      own.copy(incoming, buffer, 0, 0, first);
    }
    if (readUntil(buffer, first, end) < 0) return null;
  }
  const extraBytes = own.readUInt16LE(buffer, 6);
  const extraAt = HEADER_BYTES + INVOKE_FIXED_BYTES;
  const payloadAt = extraAt + extraBytes;
  return {
    sequence: own.readUInt32LE(buffer, 8),
    deadlineMs: own.readDoubleLE(buffer, HEADER_BYTES),
    requestId: own.latin1Slice(buffer, HEADER_BYTES + 8, extraAt),
    extra: extraBytes === 0 ? null : own.parseJson(own.utf8Slice(buffer, extraAt, payloadAt)),
    payload: own.utf8Slice(buffer, payloadAt, end),
  };
}

/** Makes the frame of an answer; what it fills is used again for the next one, unless it is too long for that. */
function frame(kind, flags, sequence, text) {
  // Three bytes are the most that UTF-8 makes of one UTF-16 unit.
  const reusable = HEADER_BYTES + text.length * 3 <= REUSED_BYTES;
  const buffer = reusable ? outgoing : own.allocate(HEADER_BYTES + own.byteLength(text));
  const bodyBytes = own.utf8Write(buffer, text, HEADER_BYTES);
  own.writeUInt32LE(buffer, bodyBytes, 0);
  buffer[4] = kind;
  buffer[5] = flags;
  own.writeUInt16LE(buffer, 0, 6);
  own.writeUInt32LE(buffer, sequence, 8);
  own.writeUInt32LE(buffer, 0, 12);
  frameBytes = HEADER_BYTES + bodyBytes;
  return buffer;
}

function send(kind, flags, sequence, text) {
  const buffer = frame(kind, flags, sequence, text);
  let at = 0;
  const end = frameBytes;
  while (at < end) at += writeSync(OUT, buffer, at, end - at);
}

/** All of `send` but the writing. */
function rehearseSend(kind, flags, sequence, text) {
  frame(kind, flags, sequence, text);
  writeSync(OUT, outgoing, 0, 0);
}

module.exports = { Kind, FLAG_LAST, receive, send, rehearseSend };
