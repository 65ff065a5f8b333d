// The instance's end of its channel to the agent: frames in over descriptor 3 and out over 4. The layout is drawn in
// src/wire/instance-frame.ts; this is its copy in plain JavaScript, since nothing compiles inside a sandbox.
//
// Reading waits in the event loop, unlike that of the other runtimes: the bootstrap is a process of its own, which may
// ask for something or end at any time. Writing blocks: who logs faster than the agent listens has to wait.
'use strict';

const { writeSync } = require('node:fs');
const net = require('node:net');

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

const outgoing = Buffer.allocUnsafeSlow(REUSED_BYTES);

/** A frame that is not whole yet: first its header alone, then header and body. */
let frame = Buffer.allocUnsafe(HEADER_BYTES);
let filled = 0;

function parse(whole) {
  const extraAt = HEADER_BYTES + INVOKE_FIXED_BYTES;
  const payloadAt = extraAt + whole.readUInt16LE(6);
  return {
    sequence: whole.readUInt32LE(8),
    deadlineMs: whole.readDoubleLE(HEADER_BYTES),
    requestId: whole.latin1Slice(HEADER_BYTES + 8, extraAt),
    extra: payloadAt === extraAt ? null : JSON.parse(whole.utf8Slice(extraAt, payloadAt)),
    payload: whole.subarray(payloadAt),
  };
}

function take(chunk, onInvocation) {
  let at = 0;
  while (at < chunk.length) {
    const count = chunk.copy(frame, filled, at, Math.min(chunk.length, at + frame.length - filled));
    at += count;
    filled += count;
    if (filled < frame.length) return;
    if (filled === HEADER_BYTES) {
      const header = frame;
      frame = Buffer.allocUnsafe(HEADER_BYTES + header.readUInt32LE(0));
      header.copy(frame);
    } else {
      const whole = frame;
      frame = Buffer.allocUnsafe(HEADER_BYTES);
      filled = 0;
      onInvocation(parse(whole));
    }
  }
}

/** Calls `onInvocation` for each, and `onGone` when there is no agent any more. */
function listen(onInvocation, onGone) {
  const socket = new net.Socket({
    fd: IN,
    readable: true,
    writable: false,
    onread: {
      buffer: Buffer.allocUnsafeSlow(REUSED_BYTES),
      callback: (count, buffer) => {
        take(buffer.subarray(0, count), onInvocation);
        return true;
      },
    },
  });
  socket.on('end', onGone);
  socket.on('error', onGone);
}

/** `body`: a Buffer. */
function send(kind, flags, sequence, body) {
  const end = HEADER_BYTES + body.length;
  const buffer = end <= REUSED_BYTES ? outgoing : Buffer.allocUnsafe(end);
  buffer.writeUInt32LE(body.length, 0);
  buffer[4] = kind;
  buffer[5] = flags;
  buffer.writeUInt16LE(0, 6);
  buffer.writeUInt32LE(sequence, 8);
  buffer.writeUInt32LE(0, 12);
  body.copy(buffer, HEADER_BYTES);
  for (let at = 0; at < end;) at += writeSync(OUT, buffer, at, end - at);
}

module.exports = { Kind, FLAG_LAST, listen, send };
