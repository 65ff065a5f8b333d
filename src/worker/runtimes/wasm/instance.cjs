// A fresh instance of the module for each invocation: its memory, globals and tables begin as the module declares them,
// whatever isolation the function asked for. The compiled code is shared; one instance waits ahead of its invocation.
'use strict';

const { isUtf8 } = require('node:buffer');
const { TypedError, Ended, asTypedError } = require('./errors.cjs');
const log = require('./log.cjs');
const { PERCH, WASI } = require('./module.cjs');
const perch = require('./perch.cjs');
const wasi = require('./wasi.cjs');

const NOTHING = Buffer.alloc(0);
const NULL = Buffer.from('null');
/** Output of an initialisation ahead of its invocation waits for it; more than this is dropped. */
const HELD_BYTES_MAX = 64 * 1024;
const RESULT_BYTES = 16 * 1024;
/** In the length that a handler returns: what lies there is an error. */
const ERROR_BIT = 0x8000_0000n;
/** Runtime's own settings, which are nothing to a module. */
const HIDDEN = /^PERCH_(RESPONSE_BYTES_MAX|FUNCTION_ARN|MEMORY_SHARE_MB)$/;

/** What the memory size of the function leaves for the memory of an instance. */
const memoryMbMax = Number(process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE) - Number(process.env.PERCH_MEMORY_SHARE_MB);
const responseBytesMax = Number(process.env.PERCH_RESPONSE_BYTES_MAX);
const arn = process.env.PERCH_FUNCTION_ARN;
const environment = new Map(Object.entries(process.env).filter(([name]) => !HIDDEN.test(name)));

const imports = { [WASI]: wasi.functions, [PERCH]: perch.functions };

const terminated = (text) => Buffer.from(text + '\0');

/** What an invocation adds to the environment: the headers of Lambda's Runtime API, as a CGI program would get them. */
function invocationEnvironment(invocation) {
  const { extra } = invocation;
  const added = new Map(environment);
  added.set('LAMBDA_RUNTIME_AWS_REQUEST_ID', invocation.requestId);
  added.set('LAMBDA_RUNTIME_DEADLINE_MS', String(invocation.deadlineMs));
  added.set('LAMBDA_RUNTIME_INVOKED_FUNCTION_ARN', extra?.arn ?? arn);
  if (extra?.clientContext !== undefined)
    added.set('LAMBDA_RUNTIME_CLIENT_CONTEXT', JSON.stringify(extra.clientContext));
  if (extra?.traceId !== undefined) added.set('_X_AMZN_TRACE_ID', extra.traceId);
  return added;
}

/** One instance of the module, and what the functions of WASI know of it. */
class Host {
  memory = null;
  /** The memory as bytes; empty when it has to be looked up again. */
  bytes = NOTHING;
  stdin = NOTHING;
  stdinAt = 0;
  closed = [false, false, false];
  /** Set by proc_exit. */
  exitCode = 0;
  /** It called proc_exit, or met a limit. */
  ended = false;
  tooLarge = false;
  invocation = null;
  #loaded;
  #exports;
  #result = NOTHING;
  #resultBytes = 0;
  #held = [];
  #heldBytes = 0;

  /** Throws a TypedError. */
  constructor(loaded) {
    this.#loaded = loaded;
    wasi.enter(this);
    try {
      const { exports } = new WebAssembly.Instance(loaded.module, imports);
      this.#exports = exports;
      this.memory = exports.memory;
      if (loaded.exports.initialize !== null) exports[loaded.exports.initialize]();
    } catch (thrown) {
      if (thrown instanceof Ended) throw exitError(this.exitCode, null);
      throw outOfMemory(loaded.file, thrown) ?? asTypedError(thrown);
    }
    this.#checkExports();
  }

  get memoryBytes() {
    return this.memory.buffer.byteLength;
  }

  /** The result as JSON. Throws a TypedError. */
  run(invocation) {
    wasi.enter(this);
    this.invocation = invocation;
    for (const bytes of this.#held) log.write(bytes);
    try {
      return checkJson(this.#loaded.isCommand ? this.#runCommand() : this.#runHandler());
    } catch (thrown) {
      if (thrown instanceof Ended) throw this.#endError();
      throw asTypedError(thrown);
    }
  }

  // --- for wasi.cjs ---------------------------------------------------------------------------------------------

  arguments() {
    return [terminated(this.#loaded.file)];
  }

  environment() {
    const all = this.invocation === null ? environment : invocationEnvironment(this.invocation);
    return [...all].map(([name, value]) => terminated(`${name}=${value}`));
  }

  write(isStdout, bytes) {
    if (isStdout && this.#loaded.isCommand) this.#addResult(bytes);
    else if (this.invocation !== null) log.write(bytes);
    else if (this.#heldBytes < HELD_BYTES_MAX) {
      this.#held.push(Buffer.from(bytes.subarray(0, HELD_BYTES_MAX - this.#heldBytes)));
      this.#heldBytes += bytes.length;
    }
  }

  flush() {
    log.flush();
  }

  end() {
    this.ended = true;
    throw new Ended();
  }

  // --------------------------------------------------------------------------------------------------------------

  #checkExports() {
    const { entry, allocate } = this.#loaded.exports;
    if (allocate === null) return;
    for (const [name, count] of [
      [entry, 2],
      [allocate, 1],
    ]) {
      const has = this.#exports[name].length;
      if (has === count) continue;
      const message = `${this.#loaded.file}: ${name} takes ${has} parameters; it has to be ${entry}(pointer, length) -> i64 and ${allocate}(length) -> pointer`;
      throw new TypedError('Runtime.HandlerNotFound', message);
    }
  }

  #addResult(bytes) {
    const end = this.#resultBytes + bytes.length;
    if (end > responseBytesMax) {
      this.tooLarge = true;
      this.end();
    }
    if (end > this.#result.length) {
      const larger = Buffer.allocUnsafeSlow(
        Math.min(Math.max(end, this.#result.length * 2, RESULT_BYTES), responseBytesMax),
      );
      this.#result.copy(larger, 0, 0, this.#resultBytes);
      this.#result = larger;
    }
    this.#result.set(bytes, this.#resultBytes);
    this.#resultBytes = end;
  }

  #output() {
    return this.#result.subarray(0, this.#resultBytes);
  }

  #runCommand() {
    this.stdin = this.invocation.payload;
    try {
      this.#exports._start();
    } catch (thrown) {
      if (!(thrown instanceof Ended) || this.tooLarge || this.exitCode !== 0) throw thrown;
    }
    return this.#output();
  }

  #runHandler() {
    const { entry, allocate } = this.#loaded.exports;
    const { payload } = this.invocation;
    const pointer = this.#exports[allocate](payload.length) >>> 0;
    const memory = Buffer.from(this.memory.buffer);
    if (pointer === 0 || pointer + payload.length > memory.length) {
      const message = `${allocate}(${payload.length}) gave ${pointer}, which is no room for the payload in a memory of ${memory.length} bytes`;
      throw new TypedError('Runtime.OutOfMemory', message);
    }
    memory.set(payload, pointer);
    return this.#resultAt(this.#exports[entry](pointer, payload.length), entry);
  }

  /** `packed`: pointer in the upper half, length in the lower. */
  #resultAt(packed, entry) {
    if (typeof packed !== 'bigint') {
      throw new TypedError('Runtime.HandlerNotFound', `${entry} returned no i64 (pointer << 32 | length)`);
    }
    const pointer = Number((packed >> 32n) & 0xffff_ffffn);
    const length = Number(packed & (ERROR_BIT - 1n));
    const memory = Buffer.from(this.memory.buffer);
    if (pointer + length > memory.length) {
      const message = `${entry} returned ${length} bytes at ${pointer}, outside of its memory of ${memory.length} bytes`;
      throw new TypedError('Runtime.WasmTrap', message);
    }
    if (length > responseBytesMax) throw tooLarge();
    const bytes = memory.subarray(pointer, pointer + length);
    if ((packed & ERROR_BIT) === 0n) return bytes;
    throw ownError(bytes) ?? new TypedError('Error', bytes.toString('utf8'));
  }

  #endError() {
    if (this.tooLarge) return tooLarge();
    return ownError(this.#output()) ?? exitError(this.exitCode, this.invocation.requestId);
  }
}

function tooLarge() {
  const message = `Response payload size exceeded maximum allowed payload size (${responseBytesMax} bytes).`;
  return new TypedError('Function.ResponseSizeTooLarge', message);
}

/** Null where it was something else that an instance could not be made for. */
function outOfMemory(file, thrown) {
  if (!(thrown instanceof RangeError) || !thrown.message.includes('Out of memory')) return null;
  const message = `${file} begins with more memory than the memory size of the function leaves for it, ${memoryMbMax} MB`;
  return new TypedError('Runtime.OutOfMemory', message);
}

function exitError(code, requestId) {
  const who = requestId === null ? '' : `RequestId: ${requestId} `;
  return new TypedError('Runtime.ExitError', `${who}Error: Runtime exited with error: exit status ${code}`);
}

/** The error that a module describes by itself, as {errorType, errorMessage}; null where the bytes are none. */
function ownError(bytes) {
  try {
    const { errorType, errorMessage, trace } = JSON.parse(bytes.toString('utf8'));
    if (typeof errorType !== 'string' || typeof errorMessage !== 'string') return null;
    return new TypedError(errorType, errorMessage, Array.isArray(trace) ? trace : []);
  } catch {
    return null;
  }
}

/** Without white space around it; nothing at all is null, as in the other runtimes. */
function checkJson(bytes) {
  const isSpace = (byte) => byte === 32 || (byte >= 9 && byte <= 13);
  let start = 0;
  let end = bytes.length;
  while (end > start && isSpace(bytes[end - 1])) end--;
  while (start < end && isSpace(bytes[start])) start++;
  if (start === end) return NULL;
  const body = bytes.subarray(start, end);
  if (!isUtf8(body)) throw new TypedError('Runtime.MarshalError', 'The result of the module is not UTF-8');
  try {
    JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new TypedError('Runtime.MarshalError', `The result of the module is not JSON: ${error.message}`);
  }
  return body;
}

module.exports = { Host, imports };
