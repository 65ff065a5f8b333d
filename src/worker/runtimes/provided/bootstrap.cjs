// Finds the program that the function brings, and looks at it as the kernel would: what cannot be executed is told
// apart from what ends early. Node would hand a file without a known format to the shell.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const ELF_MACHINE = { x64: 0x3e, arm64: 0xb7 };
const HEAD_BYTES = 256;

function invalid(message) {
  return { errorType: 'Runtime.InvalidEntrypoint', errorMessage: message };
}

function readHead(file) {
  const head = Buffer.alloc(HEAD_BYTES);
  const descriptor = fs.openSync(file, 'r');
  try {
    return head.subarray(0, fs.readSync(descriptor, head, 0, HEAD_BYTES, 0));
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Why the kernel would not execute it, in its words, or null. */
function faultOf(file) {
  let head;
  try {
    fs.accessSync(file, fs.constants.X_OK);
    head = readHead(file);
  } catch (error) {
    return error.code === 'EACCES' ? 'permission denied' : error.message;
  }
  if (head.latin1Slice(0, 2) === '#!') {
    const [interpreter] = head
      .latin1Slice(2)
      .split('\n', 1)[0]
      .replace(/^[ \t]+/, '')
      .split(/[ \t]/, 1);
    if (interpreter === '') return 'exec format error: the first line names no interpreter';
    if (fs.existsSync(interpreter)) return null;
    const hint = interpreter.endsWith('\r') ? ' (its lines end as on Windows)' : '';
    return `no such file or directory: the first line names ${JSON.stringify(interpreter)}${hint}`;
  }
  if (head.latin1Slice(0, 4) !== '\x7fELF')
    return 'exec format error: neither a script that begins with "#!" nor an ELF program';
  const machine = head.length >= 20 ? head.readUInt16LE(18) : 0;
  if (machine === ELF_MACHINE[process.arch]) return null;
  return `exec format error: a program for another processor than this machine's ${process.arch}`;
}

function isFile(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

/** {file}, or {error: Lambda's error object} if there is none that can be started. */
function findBootstrap(folders) {
  const candidates = folders.filter((folder) => folder !== '').map((folder) => path.join(folder, 'bootstrap'));
  const file = candidates.find(isFile);
  if (file === undefined) return { error: invalid(`Couldn't find valid bootstrap(s): [${candidates.join(' ')}]`) };
  const fault = faultOf(file);
  return fault === null ? { file } : { error: invalid(`fork/exec ${file}: ${fault}`) };
}

module.exports = { findBootstrap, invalid };
