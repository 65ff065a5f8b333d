/** The functions of WASI preview 1 one by one, on a real memory: error numbers, bounds, and what is not there. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { beforeEach, test } from 'node:test';
import fc from 'fast-check';

const require = createRequire(import.meta.url);
const { enter, functions } = require('../../../src/worker/runtimes/wasm/wasi.cjs');

const OK = 0;
const BADF = 8;
const FAULT = 21;
const INVAL = 28;
const SPIPE = 70;
const PAGE = 65_536;

/** In the order of the specification. */
const NAMES = `args_get args_sizes_get environ_get environ_sizes_get clock_res_get clock_time_get fd_advise fd_allocate
  fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get fd_filestat_set_size
  fd_filestat_set_times fd_pread fd_prestat_get fd_prestat_dir_name fd_pwrite fd_read fd_readdir fd_renumber fd_seek
  fd_sync fd_tell fd_write path_create_directory path_filestat_get path_filestat_set_times path_link path_open
  path_readlink path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff proc_exit proc_raise
  random_get sched_yield sock_accept sock_recv sock_send sock_shutdown`.split(/\s+/);

// The types of WebAssembly come with those of browsers, which are not here.
const { Memory } = (globalThis as any).WebAssembly;
let memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
let bytes: Buffer;
let written: string[];
let host: any;

beforeEach(() => {
  memory = new Memory({ initial: 1, maximum: 4 });
  bytes = Buffer.from(memory.buffer);
  written = [];
  host = {
    memory,
    bytes: Buffer.alloc(0),
    stdin: Buffer.from('hello'),
    stdinAt: 0,
    closed: [false, false, false],
    exitCode: 0,
    ended: false,
    arguments: () => ['app\0', 'x\0'].map((each) => Buffer.from(each)),
    environment: () => [Buffer.from('A=1\0')],
    write: (isStdout: boolean, chunk: Buffer) => written.push(`${isStdout ? 1 : 2}:${chunk.toString()}`),
    flush: () => {},
    end() {
      host.ended = true;
      throw new Error('ended');
    },
  };
  enter(host);
});

/** Vectors at 0: [pointer, length], … */
function vectors(...each: [number, number][]): void {
  for (const [index, [pointer, length]] of each.entries()) {
    bytes.writeUInt32LE(pointer, index * 8);
    bytes.writeUInt32LE(length, index * 8 + 4);
  }
}

function subscribeClock(at: number, timeoutNs: bigint, { clock = 1, flags = 0, userData = 7n } = {}): void {
  bytes.fill(0, at, at + 48);
  bytes.writeBigUInt64LE(userData, at);
  bytes.writeUInt32LE(clock, at + 16);
  bytes.writeBigUInt64LE(timeoutNs, at + 24);
  bytes.writeUInt16LE(flags, at + 40);
}

function subscribeDescriptor(at: number, type: number, fd: number): void {
  bytes.fill(0, at, at + 48);
  bytes[at + 8] = type;
  bytes.writeUInt32LE(fd, at + 16);
}

test('every function of preview 1 is there, and nothing else', () => {
  assert.deepEqual(Object.keys(functions).toSorted(), NAMES.toSorted());
});

test('strings are laid out with their pointers', () => {
  assert.equal(functions.args_sizes_get(0, 4), OK);
  assert.deepEqual([bytes.readUInt32LE(0), bytes.readUInt32LE(4)], [2, 6]);
  assert.equal(functions.args_get(16, 100), OK);
  assert.deepEqual([bytes.readUInt32LE(16), bytes.readUInt32LE(20)], [100, 104]);
  assert.equal(bytes.toString('latin1', 100, 106), 'app\0x\0');
  assert.equal(functions.environ_get(16, 200), OK);
  assert.equal(bytes.toString('latin1', 200, 204), 'A=1\0');
});

test('standard input is read once, over several vectors', () => {
  vectors([100, 2], [200, 10]);
  assert.equal(functions.fd_read(0, 0, 2, 50), OK);
  assert.equal(bytes.readUInt32LE(50), 5);
  assert.equal(bytes.toString('latin1', 100, 102) + bytes.toString('latin1', 200, 203), 'hello');
  assert.equal(functions.fd_read(0, 0, 2, 50), OK);
  assert.equal(bytes.readUInt32LE(50), 0);
  assert.equal(functions.fd_read(1, 0, 2, 50), BADF);
});

test('standard output and error are told apart; what is closed stays closed', () => {
  bytes.write('abc', 100);
  vectors([100, 3], [101, 1]);
  assert.equal(functions.fd_write(1, 0, 2, 50), OK);
  assert.equal(bytes.readUInt32LE(50), 4);
  assert.equal(functions.fd_write(2, 0, 1, 50), OK);
  assert.deepEqual(written, ['1:abc', '1:b', '2:abc']);
  assert.equal(functions.fd_close(1), OK);
  for (const name of ['fd_write', 'fd_close', 'fd_fdstat_get', 'fd_seek'])
    assert.equal(functions[name](1, 0, 1, 50), BADF);
  assert.equal(functions.fd_write(0, 0, 1, 50), BADF);
});

test('there are no files, no folders and no sockets', () => {
  for (const name of NAMES.filter((each) => /^(path|sock)_/.test(each))) {
    for (const fd of [0, 1, 3, 4, -1, 1e9]) assert.notEqual(functions[name](fd, 0, fd, 0), OK, `${name}(${fd})`);
  }
  // This is how libc learns that no folder was given to it.
  assert.equal(functions.fd_prestat_get(3, 0), BADF);
  assert.equal(functions.fd_seek(0, 0n, 0, 0), SPIPE);
});

test('clocks tell time, and only those there are', () => {
  assert.equal(functions.clock_time_get(0, 0n, 8), OK);
  assert.ok(Math.abs(Number(bytes.readBigUInt64LE(8)) / 1e6 - Date.now()) < 60_000);
  assert.equal(functions.clock_time_get(1, 0n, 8), OK);
  const first = bytes.readBigUInt64LE(8);
  assert.equal(functions.clock_time_get(1, 0n, 8), OK);
  assert.ok(bytes.readBigUInt64LE(8) > first);
  for (const clock of [0, 1, 2, 3]) assert.equal(functions.clock_res_get(clock, 8), OK);
  for (const clock of [4, -1]) assert.equal(functions.clock_time_get(clock, 0n, 8), INVAL);
});

test('polling sleeps for the first clock, and not where a descriptor is ready', () => {
  const before = process.hrtime.bigint();
  subscribeClock(0, 5_000_000n);
  subscribeClock(48, 3_600_000_000_000n, { userData: 8n });
  assert.equal(functions.poll_oneoff(0, 1000, 2, 500), OK);
  assert.ok(process.hrtime.bigint() - before >= 5_000_000n);
  assert.equal(bytes.readUInt32LE(500), 1);
  assert.deepEqual([bytes.readBigUInt64LE(1000), bytes.readUInt16LE(1008), bytes[1010]], [7n, OK, 0]);

  subscribeDescriptor(0, 1, 0);
  assert.equal(functions.poll_oneoff(0, 1000, 2, 500), OK);
  assert.equal(bytes.readUInt32LE(500), 1);
  assert.deepEqual([bytes[1010], bytes.readBigUInt64LE(1016)], [1, 5n]);

  subscribeDescriptor(0, 2, 9);
  assert.equal(functions.poll_oneoff(0, 1000, 1, 500), OK);
  assert.equal(bytes.readUInt16LE(1008), BADF);
  assert.equal(functions.poll_oneoff(0, 1000, 0, 500), INVAL);
});

test('a moment that has passed is due, on either clock', () => {
  for (const clock of [0, 1]) {
    subscribeClock(0, 1n, { clock, flags: 1 });
    assert.equal(functions.poll_oneoff(0, 1000, 1, 500), OK);
    assert.equal(bytes.readUInt32LE(500), 1);
  }
});

test('events may be put where their subscriptions are', () => {
  subscribeDescriptor(0, 1, 0);
  subscribeDescriptor(48, 2, 1);
  assert.equal(functions.poll_oneoff(0, 0, 2, 500), OK);
  assert.deepEqual([bytes.readUInt32LE(500), bytes[10], bytes[42]], [2, 1, 2]);
});

test('random bytes fill what they were asked to, and nothing beside it', () => {
  assert.equal(functions.random_get(100, 32), OK);
  assert.ok(bytes.subarray(100, 132).some((each) => each !== 0));
  assert.ok(bytes.subarray(132, 200).every((each) => each === 0));
});

test('memory that grew is seen', () => {
  assert.equal(functions.random_get(PAGE, 8), FAULT);
  memory.grow(1);
  assert.equal(functions.random_get(PAGE, 8), OK);
});

test('no argument whatever reaches outside of the memory', () => {
  const silent = NAMES.filter((name) => !/^proc_|^poll_/.test(name));
  const i32 = fc.oneof(
    fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }),
    fc.integer({ min: PAGE - 64, max: PAGE + 8 }),
    fc.integer({ min: 0, max: 64 }),
  );
  const WIDE = /^(clock_time_get|fd_(advise|allocate|seek|pread|pwrite|filestat_set|readdir|fdstat_set_rights))/;
  fc.assert(
    fc.property(
      fc.constantFrom(...silent),
      fc.array(i32, { minLength: 9, maxLength: 9, size: 'max' }),
      (name, args) => {
        host.closed = [false, false, false];
        const given = WIDE.test(name) && name === 'clock_time_get' ? [args[0], 0n, args[2]] : args;
        const errno = functions[name](...given);
        assert.ok(Number.isInteger(errno) && errno >= 0 && errno <= 76, `${name} answered ${errno}`);
      },
    ),
    { numRuns: 20_000 },
  );
});

test('after its end a module gets no further', () => {
  assert.throws(() => functions.proc_exit(3), /ended/);
  assert.equal(host.exitCode, 3);
  assert.throws(() => functions.sched_yield());
  assert.throws(() => functions.fd_write(1, 0, 0, 0));
});

test('before the memory is there every call is answered with a fault', () => {
  host.memory = null;
  for (const name of NAMES) assert.equal(functions[name](0, 0, 0, 0), FAULT);
});
