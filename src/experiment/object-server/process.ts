/**
 * An S3-compatible object server for the experiment, a process of its own beside the platform: GET, PUT, HEAD and DELETE of objects, path
 * style (`/bucket/key`), all in memory. Signatures are not checked: it listens on loopback, for the length of one experiment.
 *
 * Every response is held back for the latency that is set, from the moment that its request is whole: that stands for the network
 * between the functions and S3. Bandwidth is not limited. A body has to come with its length. What it did is asked for over the channel of `fork`, which no function reaches.
 */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { MessageChannel, Worker } from 'node:worker_threads';
import { goBeforeFunctions } from '../../worker/sandbox/priority.ts';
import { Bodies } from './bodies.ts';
import type { ObjectRequest, ServerAnswer, ServerQuestion } from './messages.ts';

/** Of an object: more than any step of the pipelines writes. */
const OBJECT_BYTES_MAX = 64 * 1024 * 1024;
/** Connections stay open while their instance is idle: a new one for each invocation would be measured otherwise. */
const KEEP_ALIVE_MS = 3_600_000;

// It stands for another machine.
goBeforeFunctions();

/** Its body is as it came. */
interface StoredObject {
  readonly body: Buffer;
  readonly etag: string;
}

const objects = new Map<string, StoredObject>();
const bodies = new Bodies();
let putCount = 0;
let requests: ObjectRequest[] = [];
let latencyUs = 0;

const { port1, port2 } = new MessageChannel();
const wake = new Int32Array(new SharedArrayBuffer(4));
const responses = new Map<number, () => void>();
let lastId = 0;

function nowUs(): number {
  return Number(process.hrtime.bigint()) / 1000;
}

function after(dueUs: number, respond: () => void): void {
  if (latencyUs === 0) return respond();
  const id = ++lastId;
  responses.set(id, respond);
  port1.postMessage([id, dueUs]);
  Atomics.add(wake, 0, 1);
  Atomics.notify(wake, 0);
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const length = Number(request.headers['content-length'] ?? 0);
  // Node answers 400 to a length that is none.
  if (length > OBJECT_BYTES_MAX || request.headers['transfer-encoding'] !== undefined) return void request.destroy();
  const sent = bodies.take(length);
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) size += chunk.copy(sent, size);
  const receivedUs = nowUs();
  const [status, headers, body] = handle(request, sent);
  after(receivedUs + latencyUs, () => {
    response.writeHead(status, { ...headers, 'content-length': String(body.length) });
    const id = request.headers['x-amz-meta-request'];
    if (typeof id === 'string') requests.push({ id, receivedUs, respondedUs: nowUs() });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
}

function handle(request: IncomingMessage, body: Buffer): [number, Record<string, string>, Buffer] {
  const key = decodedPath(request.url ?? '/');
  if (key === null || !/^\/[^/]+\/.+$/.test(key))
    return fault(400, 'InvalidRequest', 'Address an object, as /bucket/key.');
  const object = objects.get(key);
  switch (request.method) {
    case 'PUT':
      return [200, { etag: put(key, body) }, Buffer.alloc(0)];
    case 'DELETE':
      objects.delete(key);
      return [204, {}, Buffer.alloc(0)];
    case 'GET':
    case 'HEAD':
      if (object === undefined) return fault(404, 'NoSuchKey', 'There is no such object.');
      return [200, { etag: object.etag, 'content-type': 'application/octet-stream' }, object.body];
    default:
      return fault(405, 'MethodNotAllowed', 'There are GET, PUT, HEAD and DELETE of objects.');
  }
}

/** Returns its ETag. */
function put(key: string, body: Buffer): string {
  const etag = newEtag();
  objects.set(key, { body, etag });
  return etag;
}

/** Null where an escape in it is none. */
function decodedPath(url: string): string | null {
  try {
    return decodeURIComponent(url.split('?')[0]!);
  } catch {
    return null;
  }
}

function fault(status: number, code: string, message: string): [number, Record<string, string>, Buffer] {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  return [status, { 'content-type': 'application/xml' }, Buffer.from(xml)];
}

/**
 * Another one for each object that is put, in the form that S3 gives to what came in parts: a digest of the body, which is not promised for
 * these, would cost more CPU time of the functions' cores than all else that happens here.
 */
function newEtag(): string {
  return `"${(++putCount).toString(16).padStart(32, '0')}-1"`;
}

function tell(question: ServerQuestion): ServerAnswer {
  if (question.latencyUs !== undefined) latencyUs = question.latencyUs;
  const taken = requests;
  requests = [];
  if (question.clear === true) {
    objects.clear();
    bodies.clear();
  }
  const { user, system } = process.cpuUsage();
  return { requests: taken, cpuUs: user + system };
}

const thread = new Worker(new URL('./delays.ts', import.meta.url), {
  workerData: { port: port2, wake },
  transferList: [port2],
});
thread.unref();
port1.on('message', (id: number) => {
  responses.get(id)?.();
  responses.delete(id);
});
port1.unref();

const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0 }, (request, response) => {
  answer(request, response).catch(() => response.destroy());
});
process.on('message', (question: ServerQuestion) => void process.send?.(tell(question)));
process.on('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.send?.({ port: address.port });
});
