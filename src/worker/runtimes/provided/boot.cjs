// What runs inside the sandbox of a function that brings its own runtime: serves Lambda's Runtime API on the loopback
// interface, starts the function's `bootstrap`, and hands invocations and answers on between it and the agent.
//
//   agent ──3──▶ boot ──HTTP──▶ bootstrap
//         ◀─4───      ◀────────
//
// The bootstrap is hostile, and runs as the same user: nothing here protects the platform. The agent checks every
// frame, and everything else is the sandbox's task.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { findBootstrap, invalid } = require('./bootstrap.cjs');
const channel = require('./channel.cjs');
const log = require('./log.cjs');
const { isForeign } = require('./peer.cjs');
const { makePipe } = require('./pipe.cjs');
const { RuntimeApi } = require('./runtime-api.cjs');

const { Kind, FLAG_LAST } = channel;
const HOST = '127.0.0.1';
/** What Lambda uses. */
const PORT = 9001;
const EXIT_INIT_ERROR = 1;
const SIGNAL_STATUS_BASE = 128;
/** After it reported a failed initialisation a bootstrap ends; one that does not is ended. */
const INIT_ERROR_GRACE_MS = 200;
/** Lambda lets runtimes describe the cause of an error in a header of up to a megabyte. */
const HEADER_BYTES_MAX = 1024 * 1024 + 64 * 1024;
const NOTHING = Buffer.alloc(0);

const [codeFolder, layersFolder = ''] = process.argv.slice(2);
const { PERCH_FUNCTION_ARN: arn, PERCH_RESPONSE_BYTES_MAX: responseBytesMax, ...ownEnvironment } = process.env;

// Reading a log that is empty throws, and nobody looks where.
Error.stackTraceLimit = 0;

let sequence = 0;
let initError = null;
let bootstrap = null;

function end(status) {
  process.reallyExit(status);
}

function failInit(error) {
  channel.send(Kind.initError, FLAG_LAST, 0, error);
  end(EXIT_INIT_ERROR);
}

function answer(kind, body) {
  log.leave();
  channel.send(kind, 0, sequence, body);
}

const api = new RuntimeApi(arn, Number(responseBytesMax), {
  ready: () => {
    log.leave();
    channel.send(Kind.ready, 0, 0, NOTHING);
  },
  response: (body) => answer(Kind.response, body),
  error: (body) => answer(Kind.error, body),
  hint: (said) => channel.send(said === 'sleeping' ? Kind.sleeping : Kind.awake, 0, sequence, NOTHING),
  failed: (body) => {
    initError = body;
    setTimeout(onEnd, INIT_ERROR_GRACE_MS);
  },
});

/** The other runtimes find this out when they parse it; the event that a bootstrap gets is always JSON. */
function payloadFault(payload) {
  try {
    JSON.parse(payload.toString('utf8'));
    return null;
  } catch (error) {
    return error.message;
  }
}

function onInvocation(invocation) {
  sequence = invocation.sequence;
  log.enter(sequence);
  const fault = payloadFault(invocation.payload);
  if (fault !== null) return channel.send(Kind.badPayload, 0, sequence, Buffer.from(fault));
  api.give(invocation);
}

/** The bootstrap has ended, or has to: the instance ends as it did. */
function onEnd(status, signal) {
  log.drain();
  if (initError !== null) failInit(initError);
  if (signal === null) end(status);
  process.kill(process.pid, signal);
  // It is a signal that Node survives.
  end(SIGNAL_STATUS_BASE + require('node:os').constants.signals[signal]);
}

/** `pipe`: null where there is none; its outputs have a socket each then, and their order is lost. */
function startBootstrap(port, pipe) {
  const { file, error } = findBootstrap([codeFolder, layersFolder]);
  if (file === undefined) return failInit(Buffer.from(JSON.stringify(error)));
  const output = pipe?.writeEnd ?? 'pipe';
  bootstrap = spawn(file, [], {
    cwd: codeFolder,
    env: { ...ownEnvironment, AWS_LAMBDA_RUNTIME_API: `${HOST}:${port}` },
    stdio: ['ignore', output, output],
  });
  bootstrap.on('error', (cause) =>
    failInit(Buffer.from(JSON.stringify(invalid(`fork/exec ${file}: ${cause.message}`)))),
  );
  // Not 'close': a child of its own may hold its output open.
  bootstrap.on('exit', onEnd);
  if (pipe === null) {
    for (const stream of [bootstrap.stdout, bootstrap.stderr]) log.attach(stream, stream._handle.fd);
  } else {
    fs.closeSync(pipe.writeEnd);
    log.attach(new net.Socket({ fd: pipe.readEnd, readable: true, writable: false }), pipe.readEnd);
  }
}

function serve(listening) {
  const server = http.createServer(
    { maxHeaderSize: HEADER_BYTES_MAX, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0, noDelay: true },
    (request, response) => {
      response.sendDate = false;
      api.handle(request, response);
    },
  );
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    if (isForeign(socket)) socket.destroy();
  });
  server.on('error', () => server.listen(0, HOST));
  server.on('listening', () => listening(server.address().port));
  server.listen(PORT, HOST);
}

channel.listen(onInvocation, () => {
  // Where no namespace ends with us, the bootstrap would stay behind.
  bootstrap?.kill('SIGKILL');
  end(0);
});
makePipe((pipe) => serve((port) => startBootstrap(port, pipe)));
