// What a module writes to its log, as frames on the channel: in order with the answer of the invocation, so that nothing
// it wrote is missing when its answer arrives. C writes character by character where it feels like it, so a line waits
// for its end; how much an invocation may log is the agent's business.
'use strict';

const { Kind, send } = require('./channel.cjs');

/** A frame of log stays well below what the agent accepts, and fits the buffer of the channel. */
const PIECE_BYTES = 32 * 1024;
const NEWLINE = 10;

const json = process.env.AWS_LAMBDA_LOG_FORMAT === 'JSON';
const pending = Buffer.allocUnsafeSlow(PIECE_BYTES);
let pendingBytes = 0;
let requestId;
let sequence = 0;

/** How much of `bytes` can be sent without cutting a character of UTF-8 in two; all of it where it is no UTF-8. */
function wholeCharacters(bytes) {
  let at = bytes.length;
  while (at > 0 && bytes.length - at < 3 && (bytes[at - 1] & 0xc0) === 0x80) at--;
  const lead = at > 0 ? bytes[at - 1] : 0;
  const needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return needed > bytes.length - at + 1 && at > 0 ? at - 1 : bytes.length;
}

function sendPending(end) {
  if (end === 0) return;
  send(Kind.log, 0, sequence, pending.subarray(0, end));
  pending.copyWithin(0, end, pendingBytes);
  pendingBytes -= end;
}

function write(bytes) {
  for (let at = 0; at < bytes.length;) {
    const count = Math.min(bytes.length - at, PIECE_BYTES - pendingBytes);
    pending.set(bytes.subarray(at, at + count), pendingBytes);
    pendingBytes += count;
    at += count;
    if (pendingBytes === PIECE_BYTES) sendPending(wholeCharacters(pending));
  }
  if (pendingBytes > 0) sendPending(pending.lastIndexOf(NEWLINE, pendingBytes - 1) + 1);
}

/** Sends what has no end of line yet. */
function flush() {
  sendPending(pendingBytes);
}

/** A line of the runtime's own, in the format that the function asked for. */
function line(level, message) {
  const timestamp = new Date().toISOString();
  const text = json
    ? JSON.stringify({ timestamp, level, requestId, message })
    : `${timestamp}\t${requestId}\t${level}\t${message}`;
  flush();
  write(Buffer.from(text + '\n'));
}

/** From now on lines belong to this invocation. */
function enter(id, number) {
  requestId = id;
  sequence = number;
}

module.exports = { enter, flush, line, write };
