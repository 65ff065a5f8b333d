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
const CLOSED = -1;

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
 * do, but its parser takes the bytes from the socket by itself, so that nobody could say when the first of them came.
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
    this.chunks = [];
    this.missing = -1;
    const { promise, resolve, reject } = Promise.withResolvers();
    this.connected = promise;
    this.socket = net.connect({ host, port, noDelay: true }, resolve);
    // Who polls reads by itself.
    if (polls) this.socket.pause();
    else this.socket.on('data', (chunk) => this.read(chunk));
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
    this.chunks = [];
    this.missing = -1;
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
    this.chunks = [];
    this.missing = -1;
    // Before the wait: V8 may collect the whole heap for a new one.
    let chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    for (let at = 0; at < request.length;) at += unlessBlocked(() => fs.writeSync(fd, request, at));
    wait.sentUs = monotonicUs();
    wait.cpuSentUs = cpuUs();
    hints?.sleeping('response');
    for (;;) {
      let size = 0;
      while (size === 0) size = unlessBlocked(() => fs.readSync(fd, chunk) || CLOSED);
      if (size === CLOSED) throw new Error('the object server closed the connection');
      this.read(chunk.subarray(0, size));
      if (answer !== null) break;
      chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    }
    hints?.awake();
    return answer;
  }

  read(chunk) {
    if (this.exchanging === null) return;
    const { wait, resolve } = this.exchanging;
    wait.heardUs ??= monotonicUs();
    wait.cpuHeardUs ??= cpuUs();
    // An answer can be quicker than the news that its request is gone.
    wait.sentUs ??= wait.heardUs;
    wait.cpuSentUs ??= wait.cpuHeardUs;
    this.chunks.push(chunk);
    if (this.missing >= 0) this.missing -= chunk.length;
    else if (!this.readHead()) return;
    if (this.missing > 0) return;
    this.exchanging = null;
    resolve({ status: this.status, body: Buffer.concat(this.chunks) });
  }

  /** False: there is more of the head to come. */
  readHead() {
    const bytes = Buffer.concat(this.chunks);
    const end = bytes.indexOf(HEAD_END);
    if (end === -1) return false;
    const head = bytes.toString('latin1', 0, end);
    this.status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
    const body = bytes.subarray(end + HEAD_END.length);
    this.chunks = [body];
    this.missing = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0) - body.length;
    return true;
  }
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
