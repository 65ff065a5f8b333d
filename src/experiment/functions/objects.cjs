/**
 * What every step of the experiment has in common: it reads objects from the S3-compatible server and writes some, and it
 * notes when it waited and what CPU time that took.
 *
 * The three builds of a function differ in how they wait for a response:
 * - `block` awaits it; the process sleeps in the kernel until the socket has something.
 * - `poll` reads again and again from a socket that never blocks (EAGAIN), as a driver in user space does, or a guest whose idle loop polls. Two
 *   other ways were rejected. An event loop that never blocks spends its turns, and milliseconds here and there, on V8's collector and compilers, which
 *   is no waiting. A thread that does the input and output beside a spinning one would on one core have to wait for the spinner's time slice.
 * - `hint` is `poll`, and tells the platform with `sleeping()` and `awake()` of its module `perch`.
 */
'use strict';
const fs = require('node:fs');
const net = require('node:net');

const HEAD_END = Buffer.from('\r\n\r\n');
const CHUNK_BYTES = 64 * 1024;
/** What a poller asks for at first: heads have fewer, and little is copied before it is noted that something came. */
const FIRST_BYTES = 512;
const CLOSED = -1;

// Whoever asks for what is not there has an exception thrown at it, each time: without its stack that costs half.
Error.stackTraceLimit = 0;

const monotonicUs = () => Number(process.hrtime.bigint()) / 1000;

/** Of the whole process, also of its compilers and collectors. */
function cpuUs() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/**
 * A handler for a step: `work` gets the objects and answers what the next step is to read. The answer is the payload for the next
 * step: the same, with `key` changed and one record more in `steps`.
 */
function step(name, build, work) {
  return async (payload) => {
    // A call that has the function initialised, and no more.
    if (payload.steps === undefined) return null;
    const record = { name, build, startUs: monotonicUs(), cpuStartUs: cpuUs(), childCpuUs: 0, waits: [] };
    const objects = new Objects(payload, build, record);
    const key = await work(objects, payload);
    record.cpuEndUs = cpuUs();
    record.endUs = monotonicUs();
    return { ...payload, key, steps: [...payload.steps, record] };
  };
}

class Objects {
  constructor(payload, build, record) {
    this.payload = payload;
    this.build = build;
    this.record = record;
  }

  get(key) {
    return this.send('GET', key, null);
  }

  put(key, body) {
    return this.send('PUT', key, body);
  }

  async send(method, key, body) {
    const { host, port, bucket } = this.payload;
    const wait = { id: `${this.payload.chain}/${this.record.name}/${this.record.waits.length}` };
    const head = [
      `${method} /${bucket}/${key} HTTP/1.1`,
      `host: ${host}:${port}`,
      `x-amz-meta-request: ${wait.id}`,
      `content-length: ${body === null ? 0 : body.length}`,
    ];
    const bytes = Buffer.from(`${head.join('\r\n')}\r\n\r\n`);
    const connection = await Connection.to(host, port, this.build !== 'block');
    const request = body === null ? bytes : Buffer.concat([bytes, body]);
    const answer =
      this.build === 'block' ? await connection.exchange(request, wait) : connection.poll(request, wait, this.build);
    this.record.waits.push(wait);
    if (answer.status !== 200) throw new Error(`${method} ${key}: the object server answered ${answer.status}`);
    return answer.body;
  }
}

/**
 * HTTP over one connection for each instance, kept open; only what an object server needs, answers with a length. Node's own client would
 * do, but its parser takes the bytes from the socket by itself, so that nobody could say when the first of them came. That moment is noted
 * before anything is done with them, since to copy what has come is no waiting.
 */
class Connection {
  static #open = null;

  static async to(host, port, polls) {
    const open = Connection.#open;
    if (open !== null && open.port === port && !open.isClosed) return open;
    const connection = new Connection(host, port, polls);
    await connection.connected;
    Connection.#open = connection;
    return connection;
  }

  constructor(host, port, polls) {
    this.port = port;
    this.isClosed = false;
    this.exchanging = null;
    this.reset();
    const { promise, resolve, reject } = Promise.withResolvers();
    this.connected = promise;
    // Who polls reads by itself.
    const onread = polls ? undefined : { buffer: Buffer.allocUnsafeSlow(CHUNK_BYTES), callback: this.hear.bind(this) };
    this.socket = net.connect({ host, port, noDelay: true, onread }, resolve);
    if (polls) this.socket.pause();
    this.socket.on('error', reject);
    this.socket.on('close', () => {
      this.isClosed = true;
      this.exchanging?.reject(new Error('the object server closed the connection'));
    });
  }

  /** One at a time. `wait` gets the moment when all of the request was with the kernel, and the one when the first of the answer came. */
  exchange(request, wait) {
    const { promise, resolve, reject } = Promise.withResolvers();
    this.exchanging = { wait, resolve, reject };
    this.socket.write(request, () => {
      wait.sentUs ??= monotonicUs();
      wait.cpuSentUs ??= cpuUs();
    });
    return promise;
  }

  /** The same, and waits by asking. */
  poll(request, wait, build) {
    const { fd } = this.socket._handle;
    const hints = build === 'hint' ? hintsOfPlatform() : null;
    let answer = null;
    this.exchanging = { wait, resolve: (whole) => (answer = whole) };
    // Before the wait, as all that is not asking.
    const first = Buffer.allocUnsafeSlow(FIRST_BYTES);
    for (let at = 0; at < request.length;) at += unlessBlocked(() => fs.writeSync(fd, request, at));
    wait.sentUs = monotonicUs();
    wait.cpuSentUs = cpuUs();
    hints?.sleeping('response');
    const size = awaitBytes(fd, first, 0);
    wait.heardUs = monotonicUs();
    wait.cpuHeardUs = cpuUs();
    this.take(first.subarray(0, size));
    while (answer === null) {
      if (this.body === null) this.take(first.subarray(0, awaitBytes(fd, first, 0)));
      else this.fill(awaitBytes(fd, this.body, this.filled));
    }
    hints?.awake();
    return answer;
  }

  /** True: it goes on to listen. */
  hear(size, buffer) {
    if (this.exchanging === null) return true;
    const { wait } = this.exchanging;
    wait.heardUs ??= monotonicUs();
    wait.cpuHeardUs ??= cpuUs();
    // An answer can be quicker than the news that its request is gone.
    wait.sentUs ??= wait.heardUs;
    wait.cpuSentUs ??= wait.cpuHeardUs;
    this.take(buffer.subarray(0, size));
    return true;
  }

  /** These bytes are the caller's again afterwards. */
  take(bytes) {
    let rest = bytes;
    if (this.body === null) {
      this.head = Buffer.concat([this.head, bytes]);
      const end = this.head.indexOf(HEAD_END);
      if (end === -1) return;
      const head = this.head.toString('latin1', 0, end);
      this.status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
      this.body = Buffer.allocUnsafeSlow(Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0));
      rest = this.head.subarray(end + HEAD_END.length);
    }
    this.fill(rest.copy(this.body, this.filled));
  }

  /** So many bytes more are in the body. */
  fill(size) {
    const { exchanging, status, body } = this;
    this.filled += size;
    if (this.filled < body.length) return;
    this.exchanging = null;
    this.reset();
    exchanging.resolve({ status, body });
  }

  reset() {
    this.head = Buffer.alloc(0);
    /** Null until all of the head is here. */
    this.body = null;
    this.filled = 0;
    this.status = 0;
  }
}

/** Asks until some are there, and answers how many. */
function awaitBytes(fd, buffer, at) {
  let size = 0;
  while (size === 0) size = unlessBlocked(() => fs.readSync(fd, buffer, at, buffer.length - at) || CLOSED);
  if (size === CLOSED) throw new Error('the object server closed the connection');
  return size;
}

/** Null on a platform that takes none: then the build is `poll`. */
function hintsOfPlatform() {
  try {
    return require('perch');
  } catch {
    return null;
  }
}

/** How many bytes went; 0 where the socket has no room, or nothing to read. */
function unlessBlocked(transfer) {
  try {
    return transfer();
  } catch (error) {
    if (error.code === 'EAGAIN') return 0;
    throw error;
  }
}

exports.step = step;
exports.BUILDS = ['block', 'poll', 'hint'];
