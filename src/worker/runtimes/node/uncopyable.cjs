// Finds what a copy of an initialised function could not have for itself: open descriptors, threads, children, timers
// and requests under way, shared memory, files in /tmp. The reasons are read by the function's owner.
'use strict';

const { readdirSync, readFileSync, readlinkSync } = require('node:fs');
const process = require('node:process');
const { openDescriptors } = require('./descriptors.cjs');

/** libuv makes these when they are needed, and makes them anew in a copy. */
const POOL_THREAD = 'libuv-worker';

/** Of each thread: its id, what /proc says of it in `file`. */
function ofThreads(file) {
  return readdirSync('/proc/self/task').flatMap((id) => {
    try {
      return [[id, readFileSync(`/proc/self/task/${id}/${file}`, 'latin1').trim()]];
    } catch {
      return [];
    }
  });
}

const threads = () => ofThreads('comm');

const children = () => ofThreads('children').flatMap(([, ids]) => ids.split(' ').filter(Boolean));

const SHARED = /^(\S+) \S{3}s \S+ \S+ \S+ *(.*)$/gm;

function sharedMappings() {
  return [...readFileSync('/proc/self/maps', 'utf8').matchAll(SHARED)].map(([, range, name]) => [range, name]);
}

/** What is there before the function is; pass it to `reasons`, which is called where this was: in a setImmediate. */
function baseline() {
  return {
    descriptors: openDescriptors(),
    threads: new Set(threads().map(([id]) => id)),
    mappings: new Set(sharedMappings().map(([range]) => range)),
    resources: process.getActiveResourcesInfo().length,
  };
}

function describeDescriptor(number, target) {
  if (target.startsWith('socket:')) return `an open socket (descriptor ${number})`;
  if (target.startsWith('pipe:')) return `an open pipe (descriptor ${number})`;
  if (target.includes('inotify')) return `a file watcher (descriptor ${number})`;
  return `an open file: ${target} (descriptor ${number})`;
}

const RESOURCES = new Map([
  ['Timeout', 'a timer (setTimeout or setInterval) that is still set'],
  ['Immediate', 'a setImmediate that has not run'],
  ['TCPSocketWrap', 'an open TCP connection'],
  ['TCPServerWrap', 'a listening TCP server'],
  ['PipeWrap', 'an open pipe or Unix socket'],
  ['UDPWrap', 'an open UDP socket'],
  ['MessagePort', 'an open MessagePort'],
  ['Worker', 'a running worker thread'],
  ['ChildProcess', 'a running child process'],
  ['ProcessWrap', 'a running child process'],
]);

/** Why the function cannot be copied; empty if it can. */
function reasons(before) {
  const found = new Set();
  for (const type of process.getActiveResourcesInfo().slice(before.resources))
    found.add(RESOURCES.get(type) ?? `${type} is still active`);
  for (const [number, target] of openDescriptors())
    if (before.descriptors.get(number) !== target) found.add(describeDescriptor(number, target));
  for (const [id, name] of threads())
    if (!before.threads.has(id) && name !== POOL_THREAD) found.add(`a running thread (${name})`);
  for (const id of children()) found.add(`a child process (${id})`);
  for (const [range, name] of sharedMappings())
    if (!before.mappings.has(range)) found.add(`shared memory${name === '' ? '' : ` (${name})`}`);
  if (readlinkSync('/proc/self/cwd').endsWith(' (deleted)')) found.add('a working folder that was removed');
  const left = readdirSync('/tmp');
  if (left.length > 0) found.add(`files left in /tmp: ${left.slice(0, 5).join(', ')}${left.length > 5 ? ', …' : ''}`);
  return [...found];
}

module.exports = { baseline, reasons };
