// Node has event loops beside the one that runs JavaScript. After a fork libuv renews the descriptors of one loop, and of
// its signal lock; those of the others would stay shared by all copies, and what one wrote there another could read.
// Which they are is found out once, in a child that is forked for that: numbers are the same in every copy.
'use strict';

const { fstatSync, openSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } = require('node:fs');
const ffi = require('./ffi.cjs');
const own = require('./own.cjs');

const FIRST = 5;
const RESULT = '/tmp/stale-descriptors';

/** What is open: what each leads to, by its number. */
function openDescriptors() {
  const found = new Map();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      found.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch {
      // It was the one that the folder was read through.
    }
  }
  return found;
}

/** What tells one pipe or event descriptor from another under the same number; null for anything else. */
function identity(descriptor, target) {
  try {
    if (target.startsWith('pipe:')) return String(fstatSync(descriptor).ino);
    if (target.includes('[eventfd]'))
      return /eventfd-id:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`))[1];
    // Loops that nobody runs keep theirs; the one that runs has a new one.
    if (target.includes('[eventpoll]')) return descriptor === ffi.loopDescriptor() ? 'renewed' : 'epoll';
  } catch {
    // It is closed.
  }
  return null;
}

function identities() {
  const found = new Map();
  for (const [descriptor, target] of openDescriptors()) {
    const value = descriptor < FIRST ? null : identity(descriptor, target);
    if (value !== null) found.set(descriptor, value);
  }
  return found;
}

/** Descriptors that a copy would share with others even after its loop was renewed. */
function findStale() {
  const before = identities();
  const id = ffi.fork();
  if (id === 0) {
    ffi.renewLoop();
    const stale = [...identities()].filter(
      ([descriptor, value]) => before.get(descriptor) === value && value !== 'renewed',
    );
    writeFileSync(RESULT, own.stringifyJson(stale.map(([descriptor]) => descriptor)));
    ffi.exit(0);
  }
  ffi.wait(id);
  const stale = own.parseJson(readFileSync(RESULT, 'utf8'));
  rmSync(RESULT);
  return [...stale, ...nulls()];
}

function nulls() {
  return [...openDescriptors()].flatMap(([descriptor, target]) => (target === '/dev/null' ? [descriptor] : []));
}

/**
 * Kept open, so that their numbers are not given to anything else, and leading nowhere: to a nowhere of this copy's own,
 * since what is set on an open file (fcntl's flags) is seen by all who have inherited it.
 */
function close(stale) {
  const nowhere = openSync('/dev/null', 'r+');
  for (const descriptor of stale) ffi.dup2(nowhere, descriptor);
  ffi.close(nowhere);
}

module.exports = { openDescriptors, findStale, close };
