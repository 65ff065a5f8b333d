// What a module may import from `perch`: it says that it waits, or that it goes on. This counts for the invocation that
// runs; in `_initialize`, ahead of it, there is nothing to yield.
'use strict';

const { Kind, send } = require('./channel.cjs');

const NOTHING = Buffer.alloc(0);

/** 0: none runs. */
let sequence = 0;

function enter(number) {
  sequence = number;
}

function leave() {
  sequence = 0;
}

function say(kind) {
  if (sequence !== 0) send(kind, 0, sequence, NOTHING);
}

const functions = { sleeping: () => say(Kind.sleeping), awake: () => say(Kind.awake) };

module.exports = { enter, leave, functions };
