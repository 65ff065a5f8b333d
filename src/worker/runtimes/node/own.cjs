// What the runtime calls while a function's code runs beside it, taken before that code is loaded. Functions and their
// libraries replace globals (a faster JSON.stringify, fake timers); what they do to themselves must not break the
// protocol. It is no protection from hostile code, which can write to the channel by itself.
'use strict';

// oxlint-disable typescript/unbound-method -- methods apart from their objects are what this file is for

/** The method of an object as a function that takes the object first, whatever becomes of the prototype. */
const uncurry = Function.prototype.bind.bind(Function.prototype.call);

const buffer = Buffer.prototype;

module.exports = {
  parseJson: JSON.parse,
  stringifyJson: JSON.stringify,
  setImmediate,
  exit: process.reallyExit.bind(process),
  captureStackTrace: Error.captureStackTrace,
  now: performance.now.bind(performance),
  wait: Atomics.wait,
  nextTick: process.nextTick.bind(process),
  allocate: Buffer.allocUnsafeSlow,
  byteLength: Buffer.byteLength,
  view: Buffer.from,
  copy: uncurry(buffer.copy),
  latin1Slice: uncurry(buffer.latin1Slice),
  readDoubleLE: uncurry(buffer.readDoubleLE),
  readUInt16LE: uncurry(buffer.readUInt16LE),
  readUInt32LE: uncurry(buffer.readUInt32LE),
  utf8Slice: uncurry(buffer.utf8Slice),
  utf8Write: uncurry(buffer.utf8Write),
  writeUInt16LE: uncurry(buffer.writeUInt16LE),
  writeUInt32LE: uncurry(buffer.writeUInt32LE),
};
