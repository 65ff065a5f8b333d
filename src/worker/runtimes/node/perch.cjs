// The module `perch`, for functions: require('perch'), or import { sleeping, awake } from 'perch'. Whoever listens on the
// channel tells the agent. Outside of Perch nobody does, and the calls do nothing.
'use strict';

const { channel } = require('node:diagnostics_channel');

const hints = channel('perch:hint');

/** The reason is for who reads the code. */
exports.sleeping = function sleeping(_reason) {
  hints.publish('sleeping');
};

exports.awake = function awake() {
  hints.publish('awake');
};
