// console and process.stdout/stderr as frames on the channel: in order with the answer of the invocation, so that
// nothing a handler logged is missing when its answer arrives. What native code or a child process writes to
// descriptors 1 and 2 goes through pipes, and may come later.
'use strict';

const { formatWithOptions } = require('node:util');
const { Kind, send } = require('./channel.cjs');
const own = require('./own.cjs');

/** A frame of log stays well below what the agent accepts, and fits the buffer that is used again. */
const PIECE_LENGTH = 20_000;

const LEVELS = [
  ['trace', 'TRACE', 10],
  ['debug', 'DEBUG', 20],
  ['log', 'INFO', 30],
  ['info', 'INFO', 30],
  ['warn', 'WARN', 40],
  ['error', 'ERROR', 50],
];

let json = false;
/** A zygote logs in frames of its own kind. */
let kind = Kind.log;
let requestId;
let sequence = 0;

function describe(values) {
  return formatWithOptions({ depth: 6 }, ...values);
}

function line(level, values) {
  const timestamp = new Date().toISOString();
  if (!json) return `${timestamp}\t${requestId}\t${level}\t${describe(values)}\n`;
  const entry = { timestamp, level, requestId };
  const only = values.length === 1 ? values[0] : undefined;
  if (only instanceof Error) {
    entry.errorType = only.name;
    entry.errorMessage = only.message;
    entry.stackTrace = String(only.stack).split('\n');
  } else {
    entry.message = only !== null && typeof only === 'object' ? only : describe(values);
  }
  try {
    return own.stringifyJson(entry) + '\n';
  } catch {
    return own.stringifyJson({ timestamp, level, requestId, message: describe(values) }) + '\n';
  }
}

function write(text) {
  for (let at = 0; at < text.length;) {
    let end = at + PIECE_LENGTH;
    // A character of two units stays in one piece.
    if (end < text.length && (text.charCodeAt(end) & 0xfc00) === 0xdc00) end++;
    send(kind, 0, sequence, end - at >= text.length ? text : text.slice(at, end));
    at = end;
  }
}

function log(level, ...values) {
  write(line(level, values));
}

function replaceStream(stream) {
  stream.write = (chunk, encoding, callback) => {
    const done = typeof encoding === 'function' ? encoding : callback;
    write(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8'));
    if (typeof done === 'function') own.nextTick(done);
    return true;
  };
}

function install() {
  json = process.env.AWS_LAMBDA_LOG_FORMAT === 'JSON';
  for (const [method, level] of LEVELS) {
    console[method] = (...values) => write(line(level, values));
  }
  replaceStream(process.stdout);
  replaceStream(process.stderr);
}

function useKind(other) {
  kind = other;
}

/** From now on lines belong to this invocation. */
function enter(id, number) {
  requestId = id;
  sequence = number;
}

module.exports = { install, enter, log, useKind };
