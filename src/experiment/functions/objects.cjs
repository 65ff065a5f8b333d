/**
 * What every step of the experiment has in common: it reads objects from the S3-compatible server and writes some, and it
 * notes when it waited and what CPU time that took.
 *
 * The three builds of a function differ in one line, how they wait for a response:
 * - `block` awaits it; the process sleeps in the kernel until the socket has something.
 * - `poll` looks again and again: its event loop never blocks but asks the kernel for events with a timeout of zero (`epoll_wait`), as
 *   a guest whose idle loop polls, or a driver in user space does. Everything else is the same code. A thread that does the
 *   input and output beside a spinning one was rejected: on one core it would have to wait for the spinner's time slice.
 * - `hint` is `poll`, and tells the platform with `sleeping()` and `awake()` of its module `perch`.
 */
'use strict';
const http = require('node:http');

/** One connection for each instance, kept open: whoever comes next on it is the next invocation. */
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

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
    const id = `${this.payload.chain}/${this.record.name}/${this.record.waits.length}`;
    const headers = { 'x-amz-meta-request': id, 'content-length': String(body === null ? 0 : body.length) };
    const request = http.request({ agent, host, port, method, path: `/${bucket}/${key}`, headers });
    const wait = { id };
    // From here on there is nothing to do: the request is with the kernel.
    request.on('finish', () => Object.assign(wait, { sentUs: monotonicUs(), cpuSentUs: cpuUs() }));
    const answered = new Promise((resolve, reject) => {
      request.on('error', reject);
      request.on('response', (response) => {
        wait.heardUs = monotonicUs();
        wait.cpuHeardUs = cpuUs();
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode, body: Buffer.concat(chunks) }));
      });
    });
    request.end(body ?? undefined);
    const answer = await waitFor(answered, this.build);
    this.record.waits.push(wait);
    if (answer.status !== 200) throw new Error(`${method} ${key}: the object server answered ${answer.status}`);
    return answer.body;
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

async function waitFor(answered, build) {
  if (build === 'block') return answered;
  const hints = build === 'hint' ? hintsOfPlatform() : null;
  let settled = false;
  const note = () => (settled = true);
  answered.then(note, note);
  hints?.sleeping('response');
  while (!settled) await new Promise((resolve) => setImmediate(resolve));
  hints?.awake();
  return answered;
}

exports.step = step;
exports.BUILDS = ['block', 'poll', 'hint'];
