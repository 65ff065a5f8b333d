// What went wrong, as Lambda's error object: {errorType, errorMessage, trace}.
'use strict';

/** An error of the function's owner, with one of the types in docs/ERRORS.md. */
class TypedError extends Error {
  constructor(errorType, message, trace = []) {
    super(message);
    this.errorType = errorType;
    this.trace = trace;
  }
}

/** Thrown through the frames of a module to end its invocation: by proc_exit, or at a limit. `state` of the host says why. */
class Ended extends Error {}

/** The frames of the module in a stack, innermost first; those of the runtime are nobody's business. */
function wasmFrames(stack) {
  return String(stack)
    .split('\n')
    .filter((line) => line.includes('wasm-function['))
    .map((line) => line.trim());
}

/** Turns what calling into a module threw into an error for its owner. A bug of ours is thrown on. */
function asTypedError(thrown) {
  if (thrown instanceof TypedError) return thrown;
  if (thrown instanceof WebAssembly.RuntimeError) {
    return new TypedError('Runtime.WasmTrap', thrown.message, wasmFrames(thrown.stack));
  }
  if (thrown instanceof WebAssembly.Exception) {
    return new TypedError('Runtime.WasmTrap', 'the module threw an exception and did not catch it');
  }
  if (thrown instanceof RangeError && thrown.message === 'Maximum call stack size exceeded') {
    return new TypedError('Runtime.WasmTrap', 'call stack exhausted', wasmFrames(thrown.stack));
  }
  throw thrown;
}

function errorBytes(error) {
  const { errorType, message, trace } = error;
  return Buffer.from(JSON.stringify({ errorType, errorMessage: message, trace }));
}

module.exports = { TypedError, Ended, asTypedError, errorBytes };
