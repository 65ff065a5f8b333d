// The instance's end of its channel to the agent: frames in over descriptor 3 and out over 4. The layout is drawn in
// src/wire/instance-frame.ts; this is its copy in plain JavaScript, since nothing compiles inside a sandbox. Unlike that
// of the Node.js runtime it hands payloads on as bytes, which is what a module takes and gives.
//
// Reading blocks on purpose: between two invocations an instance sits in read(2).
'use strict';

const { readSync, writeSync } = require('node:fs');

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
  sleeping: 23,
  awake: 24,
});

/** In `flags`: the instance ends after this frame. */
const FLAG_LAST = 1;

const incoming = Buffer.allocUnsafeSlow(REUSED_BYTES);
const outgoing = Buffer.allocUnsafeSlow(REUSED_BYTES);

/** Fills `buffer` from `from` up to `end`, or further; how far, or -1 when the agent is gone. */
function readUntil(buffer, from, end) {
  let at = from;
  while (at < end) {
    const count = readSync(IN, buffer, at, buffer.length - at, null);
    if (count === 0) return -1;
    at += count;
  }
  return at;
}

/** Waits for the next invocation. Null when the agent is gone. `payload` is good until the next call. */
function receive() {
  let buffer = incoming;
  const first = readUntil(buffer, 0, HEADER_BYTES);
  if (first < 0) return null;
  const end = HEADER_BYTES + buffer.readUInt32LE(0);
  if (end > first) {
    if (end > buffer.length) {
      buffer = Buffer.allocUnsafeSlow(end);
      incoming.copy(buffer, 0, 0, first);
    }
    if (readUntil(buffer, first, end) < 0) return null;
  }
  const extraBytes = buffer.readUInt16LE(6);
  const extraAt = HEADER_BYTES + INVOKE_FIXED_BYTES;
  const payloadAt = extraAt + extraBytes;
  return {
    sequence: buffer.readUInt32LE(8),
    deadlineMs: buffer.readDoubleLE(HEADER_BYTES),
    requestId: buffer.latin1Slice(HEADER_BYTES + 8, extraAt),
    extra: extraBytes === 0 ? null : JSON.parse(buffer.utf8Slice(extraAt, payloadAt)),
    payload: buffer.subarray(payloadAt, end),
  };
}

function writeAll(buffer, end) {
  let at = 0;
  while (at < end) at += writeSync(OUT, buffer, at, end - at);
}

/** `body`: bytes. */
function send(kind, flags, sequence, body) {
  const end = HEADER_BYTES + body.length;
  outgoing.writeUInt32LE(body.length, 0);
  outgoing[4] = kind;
  outgoing[5] = flags;
  outgoing.writeUInt16LE(0, 6);
  outgoing.writeUInt32LE(sequence, 8);
  outgoing.writeUInt32LE(0, 12);
  if (end <= REUSED_BYTES) {
    outgoing.set(body, HEADER_BYTES);
    writeAll(outgoing, end);
  } else {
    writeAll(outgoing, HEADER_BYTES);
    writeAll(body, body.length);
  }
}

module.exports = { Kind, FLAG_LAST, receive, send };
