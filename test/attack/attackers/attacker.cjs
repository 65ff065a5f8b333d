// A hostile Node.js function. It carries out the attempts that it is told (see ../attempts.ts), and says how each ended: 'ok',
// the name of an error, or what the code of the attempt returned. Run by itself it does the same outside of any sandbox.
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const vm = require('node:vm');

const CONNECT_MS = 3000;
const native = { exports: {} };
process.dlopen(native, path.join(__dirname, 'koffi.node'));
const koffi = native.exports;
const libc = koffi.load('libc.so.6');
const errnoNames = new Map(Object.entries(os.constants.errno).map(([name, number]) => [number, name]));
const syscall = libc.func('long syscall(long number, ...)');

function typed(value) {
  if (value === null) return ['void *', null];
  if (typeof value === 'string') return ['str', value];
  if (typeof value === 'object') return ['void *', Buffer.alloc(value.zeros)];
  return ['int64_t', value];
}

function call(number, values) {
  return syscall(number, ...values.flatMap(typed)) < 0 ? errnoNames.get(koffi.errno()) : 'ok';
}

function inChild(op) {
  const { stdout, signal } = spawnSync(process.execPath, [__filename], {
    input: JSON.stringify([{ ...op, child: false }]),
  });
  return signal ?? JSON.parse(String(stdout))[0];
}

function connect({ host, port, path: place }) {
  return new Promise((resolve) => {
    const socket = net.connect(place === undefined ? { host, port } : { path: place });
    const end = (text) => (socket.destroy(), resolve(text));
    socket.setTimeout(CONNECT_MS, () => end('silence'));
    socket.on('connect', () => end('ok'));
    socket.on('error', (error) => end(error.code));
  });
}

function openAnd(file, flags, use) {
  const descriptor = fs.openSync(file, flags);
  try {
    use(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
  return 'ok';
}

const OPS = {
  call: (op) => (op.child ? inChild(op) : call(op.number, op.values)),
  read: (op) => openAnd(op.path, 'r', (descriptor) => fs.readSync(descriptor, Buffer.alloc(64))),
  open: (op) => openAnd(op.path, 'r+', () => {}),
  write: (op) => openAnd(op.path, fs.constants.O_WRONLY, (descriptor) => fs.writeSync(descriptor, op.text)),
  create: (op) => openAnd(op.path, 'w', () => fs.unlinkSync(op.path)),
  list: (op) => (fs.readdirSync(op.path), 'ok'),
  connect,
  code: (op) => vm.runInThisContext(`(require, call, libc) => { ${op.node} }`)(require, call, libc),
};

function carryOut(op) {
  try {
    return OPS[op.op](op);
  } catch (error) {
    return error.code ?? String(error);
  }
}

const given = path.join(__dirname, 'attempts.json');
/** What came of the attempts that were made while the function initialised. */
const initialised =
  require.main !== module && fs.existsSync(given) ? JSON.parse(fs.readFileSync(given, 'utf8')).map(carryOut) : [];

exports.handler = async (event) => {
  if (event.initialised) return initialised;
  const ends = [];
  for (const op of event.ops) ends.push(await carryOut(op));
  return ends;
};

if (require.main === module) {
  void exports.handler({ ops: JSON.parse(fs.readFileSync(0, 'utf8')) }).then((ends) => {
    fs.writeSync(1, JSON.stringify(ends));
  });
}
