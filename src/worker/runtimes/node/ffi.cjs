// The calls of the kernel and of Node's own libraries that JavaScript does not offer, for a cell and its copies. The
// library that makes them lies beside the interpreter; a plain instance never loads this file.
'use strict';

const native = { exports: {} };
process.dlopen(native, process.env.PERCH_FFI);
delete process.env.PERCH_FFI;
const ffi = native.exports;

const libc = ffi.load('libc.so.6');
const node = ffi.load(null);

const SCM_RIGHTS = 1;
const SOL_SOCKET = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const WNOHANG = 1;
const WALL = 0x40000000;
const SYS_CAPSET = process.arch === 'x64' ? 126 : 91;
const CAPABILITY_VERSION_3 = 0x20080522;

/** More than a FORK ever brings. */
const RIGHTS_MAX = 16;
const CMSG_HEADER_BYTES = 16;

/** The call, throwing where it fails. */
function checked(prototype, library = libc) {
  const call = library.func(prototype);
  const name = /(\w+)\(/.exec(prototype)[1];
  return (...values) => {
    const result = call(...values);
    if (result < 0) throw new Error(`${name}: error ${ffi.errno()}`);
    return result;
  };
}

const recvmsg = checked('long recvmsg(int descriptor, void *message, int flags)');
const waitpid = libc.func('int waitpid(int id, _Out_ int *status, int flags)');
const mount = checked(
  'int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)',
);
const capset = checked('long syscall(long number, void *header, void *data)');
const defaultLoop = node.func('void *uv_default_loop()');
/** Of uv_loop_t: data, active_handles, handle_queue come before. */
const REQUEST_COUNT_AT = 32;
const backendDescriptor = node.func('int uv_backend_fd(void *loop)');
const currentIsolate = node.func('void *_ZN2v87Isolate10GetCurrentEv()');
const addLimitCallback = node.func(
  'void _ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_(void *isolate, void *callback, void *data)',
);
const removeLimitCallback = node.func(
  'void _ZN2v87Isolate27RemoveNearHeapLimitCallbackEPFmPvmmEm(void *isolate, void *callback, ulong bytes)',
);
const loopFork = checked('int uv_loop_fork(void *loop)', node);

/**
 * Lowers what --max-old-space-size set, which V8 reads when it begins alone. Its interface lowers the limit where a callback
 * for the moment before the limit is taken away; this one is never called, and any address stands for it.
 */
function limitHeap(bytes) {
  const isolate = currentIsolate();
  addLimitCallback(isolate, isolate, null);
  removeLimitCallback(isolate, isolate, bytes);
}

/** struct msghdr of one buffer, with room for descriptors. The buffers live as long as the process. */
function makeMessage(bytes) {
  const control = Buffer.alloc(CMSG_HEADER_BYTES + RIGHTS_MAX * 4);
  const vector = Buffer.alloc(16);
  const message = Buffer.alloc(56);
  vector.writeBigUInt64LE(ffi.address(bytes), 0);
  message.writeBigUInt64LE(ffi.address(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(ffi.address(control), 32);
  return { message, vector, control, bytes };
}

/** Reads once, at most `count` bytes to the front of the message's buffer; descriptors that came along go to `rights`. */
function receive(descriptor, { message, vector, control }, count, rights) {
  vector.writeBigUInt64LE(BigInt(count), 8);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  const received = recvmsg(descriptor, message, MSG_CMSG_CLOEXEC);
  const controlBytes = Number(message.readBigUInt64LE(40));
  const isRights = controlBytes >= CMSG_HEADER_BYTES && control.readInt32LE(8) === SOL_SOCKET;
  if (isRights && control.readInt32LE(12) === SCM_RIGHTS) {
    for (let at = CMSG_HEADER_BYTES; at + 4 <= Number(control.readBigUInt64LE(0)); at += 4)
      rights.push(control.readInt32LE(at));
  }
  return Number(received);
}

const poll = libc.func('int poll(void *descriptors, ulong count, int timeoutMs)');
const POLLIN = 1;
/** struct pollfd. */
const polled = Buffer.alloc(8);

/** Waits that long for something to read, or for the other end to be gone. */
function isReadable(descriptor, timeoutMs) {
  polled.writeInt32LE(descriptor, 0);
  polled.writeInt16LE(POLLIN, 4);
  return poll(polled, 1, timeoutMs) !== 0;
}

const status = [0];

/** Until this child has ended. */
function wait(id) {
  waitpid(id, status, 0);
}

/** A child that has ended, as [id, status]; null if there is none. */
function reap() {
  const id = waitpid(-1, status, WNOHANG | WALL);
  return id > 0 ? [id, status[0]] : null;
}

const getrandom = checked('long getrandom(void *bytes, ulong count, uint flags)');

/** From the kernel. */
function randomBytes(count) {
  const bytes = Buffer.alloc(count);
  // It may bring less than was asked for.
  for (let at = 0; at < count;) at += Number(getrandom(bytes.subarray(at), count - at, 0));
  return bytes;
}

const capabilityHeader = Buffer.alloc(8);
capabilityHeader.writeUInt32LE(CAPABILITY_VERSION_3, 0);
const noCapabilities = Buffer.alloc(24);

module.exports = {
  limitHeap,
  isReadable,
  makeMessage,
  randomBytes,
  receive,
  reap,
  wait,
  /** Requests of the event loop that are under way. */
  requestCount: () => ffi.decode(defaultLoop(), REQUEST_COUNT_AT, 'uint'),
  loopDescriptor: () => backendDescriptor(defaultLoop()),
  mount,
  fork: checked('int fork()'),
  unshare: checked('int unshare(int flags)'),
  setns: checked('int setns(int descriptor, int type)'),
  setsid: checked('int setsid()'),
  chdir: checked('int chdir(const char *path)'),
  dup2: checked('int dup2(int from, int to)'),
  close: checked('int close(int descriptor)'),
  getpid: libc.func('int getpid()'),
  exit: libc.func('void _exit(int code)'),
  dropCapabilities: () => void capset(SYS_CAPSET, capabilityHeader, noCapabilities),
  /** The event loop's own descriptors are still those of the process that was copied. */
  renewLoop: () => void loopFork(defaultLoop()),
};
