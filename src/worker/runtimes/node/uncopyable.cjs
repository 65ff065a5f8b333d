// Finds what a copy of an initialised function could not have for itself: open descriptors, threads, children, timers
// and requests under way, shared memory, files in /tmp. The reasons are read by the function's owner.
'use strict';

const { readdirSync, readFileSync, readlinkSync } = require('node:fs');
const process = require('node:process');
const { openDescriptors } = require('./descriptors.cjs');
const ffi = require('./ffi.cjs');

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

/** How many there are of each type. */
function resourceCounts() {
  const counts = new Map();
  for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}

/** What is there before the function is; pass it to `reasons`, which is called where this was: in a setImmediate. */
function baseline() {
  return {
    descriptors: openDescriptors(),
    threads: new Set(threads().map(([id]) => id)),
    mappings: new Set(sharedMappings().map(([range]) => range)),
    resources: resourceCounts(),
    requestCount: ffi.requestCount(),
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
  ['FSReqCallback', 'a file request under way (fs)'],
  ['FSReqPromise', 'a file request under way (fs)'],
  ['GetAddrInfoReqWrap', 'a name lookup under way (dns)'],
  ['GetNameInfoReqWrap', 'a name lookup under way (dns)'],
  ['TCPConnectWrap', 'a TCP connection that is being opened'],
  ['PipeConnectWrap', 'a Unix socket that is being opened'],
  ['TCPSocketWrap', 'an open TCP connection'],
  ['TCPServerWrap', 'a listening TCP server'],
  ['PipeWrap', 'an open pipe or Unix socket'],
  ['UDPWrap', 'an open UDP socket'],
  ['MessagePort', 'an open MessagePort'],
  ['Worker', 'a running worker thread'],
  ['ChildProcess', 'a running child process'],
  ['ProcessWrap', 'a running child process'],
]);

/** Of the event loop. */
function busyWith(before) {
  const more = [...resourceCounts()].filter(([type, count]) => count > (before.resources.get(type) ?? 0));
  const found = more.map(([type]) => RESOURCES.get(type) ?? `${type} is still active`);
  // Node does not list what its threads do for crypto and zlib.
  if (found.length === 0 && ffi.requestCount() > before.requestCount)
    found.push('a request under way (of crypto, zlib or another module)');
  return found;
}

/** Why the function cannot be copied; empty if it can. */
function reasons(before) {
  const found = new Set(busyWith(before));
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
