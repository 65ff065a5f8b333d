// WASI preview 1 (https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md) without anything of the host in
// reach: descriptors 0, 1 and 2 are buffers, there are no files and no sockets; clocks, randomness and sleep are real.
//
// Not node:wasi: that takes real descriptors, opens what it is asked to open, and is no sandbox by its own word. Here
// there is no call that could reach further than this file.
//
// The functions are made once for each process, and serve whichever instance is current: making them anew for each
// instance would double what an instance costs. Two instances never run at the same time.
'use strict';

const { randomFillSync } = require('node:crypto');
const { Ended } = require('./errors.cjs');

const OK = 0;
const BADF = 8;
const FAULT = 21;
const INVAL = 28;
const NOTDIR = 54;
const NOTSOCK = 57;
const NOTSUP = 58;
const SPIPE = 70;

const STDIN = 0;
const STDOUT = 1;
const DESCRIPTOR_COUNT = 3;
const RIGHT_READ = 1n << 1n;
const RIGHT_WRITE = 1n << 6n;
const RIGHT_POLL = 1n << 27n;

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const CLOCK_COUNT = 4;
const NS_PER_MS = 1_000_000n;

const SUBSCRIPTION_BYTES = 48;
const EVENT_BYTES = 32;
const EVENT_CLOCK = 0;
const EVENT_READ = 1;
const EVENT_WRITE = 2;
const CLOCK_ABSOLUTE = 1;
const HANGUP = 1;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** The instance whose calls these are; see `Host` in instance.cjs for what it has. */
let host = null;

function enter(next) {
  host = next;
}

// --- memory of the module -------------------------------------------------------------------------------------------

/** The memory as it is now: growing detaches the bytes that were seen before. */
function memory() {
  if (host.bytes.length === 0) host.bytes = Buffer.from(host.memory.buffer);
  return host.bytes;
}

function range(pointer, length) {
  const bytes = memory();
  const at = pointer >>> 0;
  const end = at + (length >>> 0);
  if (end > bytes.length) throw new RangeError('outside of the memory');
  return bytes.subarray(at, end);
}

function setU32(pointer, value) {
  memory().writeUInt32LE(value, pointer >>> 0);
}

function setU64(pointer, value) {
  memory().writeBigUInt64LE(value, pointer >>> 0);
}

function isOpen(fd) {
  return fd >= 0 && fd < DESCRIPTOR_COUNT && !host.closed[fd];
}

/** For calls that no descriptor of ours can answer. */
function unable(errno) {
  return (fd) => (isOpen(fd) ? errno : BADF);
}

// --- arguments and environment --------------------------------------------------------------------------------------

function stringSizes(strings, countPointer, bytesPointer) {
  setU32(countPointer, strings.length);
  setU32(
    bytesPointer,
    strings.reduce((sum, each) => sum + each.length, 0),
  );
  return OK;
}

function putStrings(strings, pointers, target) {
  let at = target >>> 0;
  for (const [index, each] of strings.entries()) {
    setU32((pointers >>> 0) + index * 4, at);
    range(at, each.length).set(each);
    at += each.length;
  }
  return OK;
}

// --- clocks ---------------------------------------------------------------------------------------------------------

function nowNs(clock) {
  if (clock === CLOCK_REALTIME) return BigInt(Date.now()) * NS_PER_MS;
  if (clock === CLOCK_MONOTONIC) return process.hrtime.bigint();
  const { user, system } = process.cpuUsage();
  return BigInt(user + system) * 1000n;
}

function isClock(clock) {
  return clock >= 0 && clock < CLOCK_COUNT;
}

function clockResolution(clock, pointer) {
  if (!isClock(clock)) return INVAL;
  setU64(pointer, clock === CLOCK_REALTIME ? NS_PER_MS : clock === CLOCK_MONOTONIC ? 1n : 1000n);
  return OK;
}

function clockTime(clock, _precision, pointer) {
  if (!isClock(clock)) return INVAL;
  setU64(pointer, nowNs(clock));
  return OK;
}

function sleepUntil(monotonicNs) {
  for (;;) {
    const leftNs = monotonicNs - process.hrtime.bigint();
    if (leftNs <= 0n) return;
    Atomics.wait(sleeper, 0, 0, Number(leftNs) / 1e6);
  }
}

// --- descriptors ----------------------------------------------------------------------------------------------------

function readInto(fd, vectors, count, sizePointer) {
  if (!isOpen(fd) || fd !== STDIN) return BADF;
  let size = 0;
  for (let index = 0; index < count >>> 0; index++) {
    const vector = range((vectors >>> 0) + index * 8, 8);
    const target = range(vector.readUInt32LE(0), vector.readUInt32LE(4));
    const taken = host.stdin.copy(target, 0, host.stdinAt);
    host.stdinAt += taken;
    size += taken;
    if (taken < target.length) break;
  }
  setU32(sizePointer, size);
  return OK;
}

function writeFrom(fd, vectors, count, sizePointer) {
  if (!isOpen(fd) || fd === STDIN) return BADF;
  let size = 0;
  for (let index = 0; index < count >>> 0; index++) {
    const vector = range((vectors >>> 0) + index * 8, 8);
    const source = range(vector.readUInt32LE(0), vector.readUInt32LE(4));
    host.write(fd === STDOUT, source);
    size += source.length;
  }
  setU32(sizePointer, size);
  return OK;
}

function close(fd) {
  if (!isOpen(fd)) return BADF;
  host.closed[fd] = true;
  return OK;
}

/** The file type stays 0 (unknown): neither a file nor a terminal, so that libc buffers whole blocks. */
function descriptorState(fd, pointer) {
  if (!isOpen(fd)) return BADF;
  const state = range(pointer, 24).fill(0);
  state.writeBigUInt64LE((fd === STDIN ? RIGHT_READ : RIGHT_WRITE) | RIGHT_POLL, 8);
  return OK;
}

function fileState(fd, pointer) {
  if (!isOpen(fd)) return BADF;
  range(pointer, 64).fill(0).writeBigUInt64LE(1n, 24);
  return OK;
}

// --- waiting --------------------------------------------------------------------------------------------------------

/** When a subscription for a clock is due, on the monotonic clock; null where it names none. */
function dueNs(subscription) {
  const clock = subscription.readUInt32LE(16);
  if (!isClock(clock)) return null;
  const timeoutNs = subscription.readBigUInt64LE(24);
  const absolute = (subscription.readUInt16LE(40) & CLOCK_ABSOLUTE) !== 0;
  return process.hrtime.bigint() + (absolute ? timeoutNs - nowNs(clock) : timeoutNs);
}

/** An event for a descriptor: ours are always ready, or not there. */
function descriptorEvent(subscription, type) {
  const fd = subscription.readUInt32LE(16);
  if (!isOpen(fd) || (type === EVENT_READ) !== (fd === STDIN)) return { errno: BADF, bytes: 0, flags: 0 };
  const bytes = type === EVENT_READ ? host.stdin.length - host.stdinAt : 65_536;
  return { errno: OK, bytes, flags: bytes === 0 ? HANGUP : 0 };
}

function putEvent(at, subscription, type, { errno, bytes, flags }) {
  const event = range(at, EVENT_BYTES).fill(0);
  subscription.copy(event, 0, 0, 8);
  event.writeUInt16LE(errno, 8);
  event[10] = type;
  event.writeBigUInt64LE(BigInt(bytes), 16);
  event.writeUInt16LE(flags, 24);
}

function poll(input, output, count, countPointer) {
  if (count === 0) return INVAL;
  // Copied, since events may be put where the subscriptions are.
  const copied = Buffer.from(range(input, (count >>> 0) * SUBSCRIPTION_BYTES));
  const ready = [];
  const clocks = [];
  for (let at = 0; at < copied.length; at += SUBSCRIPTION_BYTES) {
    const subscription = copied.subarray(at, at + SUBSCRIPTION_BYTES);
    const type = subscription[8];
    const due = type === EVENT_CLOCK ? dueNs(subscription) : null;
    if (due !== null) clocks.push({ subscription, due });
    else if (type === EVENT_CLOCK || type > EVENT_WRITE)
      ready.push({ subscription, type, event: { errno: INVAL, bytes: 0, flags: 0 } });
    else ready.push({ subscription, type, event: descriptorEvent(subscription, type) });
  }
  if (ready.length === 0) {
    host.flush();
    sleepUntil(clocks.reduce((first, { due }) => (due < first ? due : first), clocks[0].due));
  }
  const now = process.hrtime.bigint();
  for (const { subscription, due } of clocks)
    if (due <= now) ready.push({ subscription, type: EVENT_CLOCK, event: { errno: OK, bytes: 0, flags: 0 } });
  for (const [index, { subscription, type, event }] of ready.entries())
    putEvent((output >>> 0) + index * EVENT_BYTES, subscription, type, event);
  setU32(countPointer, ready.length);
  return OK;
}

// --- the rest -------------------------------------------------------------------------------------------------------

function exit(code) {
  host.exitCode = code >>> 0;
  host.end();
  return OK;
}

function random(pointer, length) {
  randomFillSync(range(pointer, length));
  return OK;
}

const plain = {
  args_get: (pointers, target) => putStrings(host.arguments(), pointers, target),
  args_sizes_get: (count, bytes) => stringSizes(host.arguments(), count, bytes),
  environ_get: (pointers, target) => putStrings(host.environment(), pointers, target),
  environ_sizes_get: (count, bytes) => stringSizes(host.environment(), count, bytes),
  clock_res_get: clockResolution,
  clock_time_get: clockTime,
  fd_advise: unable(SPIPE),
  fd_allocate: unable(SPIPE),
  fd_close: close,
  fd_datasync: unable(INVAL),
  fd_fdstat_get: descriptorState,
  fd_fdstat_set_flags: unable(OK),
  fd_fdstat_set_rights: unable(OK),
  fd_filestat_get: fileState,
  fd_filestat_set_size: unable(INVAL),
  fd_filestat_set_times: unable(NOTSUP),
  fd_pread: unable(SPIPE),
  fd_prestat_get: unable(BADF),
  fd_prestat_dir_name: unable(BADF),
  fd_pwrite: unable(SPIPE),
  fd_read: readInto,
  fd_readdir: unable(NOTDIR),
  fd_renumber: unable(NOTSUP),
  fd_seek: unable(SPIPE),
  fd_sync: unable(INVAL),
  fd_tell: unable(SPIPE),
  fd_write: writeFrom,
  path_create_directory: unable(NOTDIR),
  path_filestat_get: unable(NOTDIR),
  path_filestat_set_times: unable(NOTDIR),
  path_link: unable(NOTDIR),
  path_open: unable(NOTDIR),
  path_readlink: unable(NOTDIR),
  path_remove_directory: unable(NOTDIR),
  path_rename: unable(NOTDIR),
  path_symlink: (_target, _bytes, fd) => unable(NOTDIR)(fd),
  path_unlink_file: unable(NOTDIR),
  poll_oneoff: poll,
  proc_exit: exit,
  proc_raise: (signal) => exit(128 + (signal & 127)),
  random_get: random,
  sched_yield: () => OK,
  sock_accept: unable(NOTSOCK),
  sock_recv: unable(NOTSOCK),
  sock_send: unable(NOTSOCK),
  sock_shutdown: unable(NOTSOCK),
};

/** A pointer out of bounds is EFAULT. After its end a module gets no further, even if it catches what ended it. */
function guarded(call) {
  return (...args) => {
    if (host.ended) throw new Ended();
    // A start section runs before the memory can be seen.
    if (host.memory === null) return FAULT;
    try {
      return call(...args);
    } catch (error) {
      if (error instanceof RangeError) return FAULT;
      throw error;
    }
  };
}

const functions = Object.fromEntries(Object.entries(plain).map(([name, call]) => [name, guarded(call)]));

module.exports = { enter, functions };
