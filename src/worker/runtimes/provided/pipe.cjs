// A pipe of the kernel's, which Node cannot make: what Node calls a pipe is a pair of sockets. The difference shows in
// programs that open /dev/stderr, which fails for a socket, and one pipe for both outputs keeps their lines in order.
//
// A shell makes a pipe for a here-document. Its reading end is opened once more through /proc, for reading and for
// writing, and the shell has done its work.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');

const DOCUMENT = ':\n';
const DESCRIPTOR = 4;
const SCRIPT = `exec ${DESCRIPTOR}<<END\n${DOCUMENT}END\necho\nread line`;

function openEnds(file) {
  const { O_RDONLY, O_NONBLOCK, O_WRONLY } = fs.constants;
  const readEnd = fs.openSync(file, O_RDONLY | O_NONBLOCK);
  // An old bash makes a file for it.
  if (!fs.fstatSync(readEnd).isFIFO()) {
    fs.closeSync(readEnd);
    return null;
  }
  const writeEnd = fs.openSync(file, O_WRONLY);
  fs.readSync(readEnd, Buffer.alloc(DOCUMENT.length));
  return { readEnd, writeEnd };
}

/** Calls `done` once, with {readEnd, writeEnd} or, where this cannot be had, with null. Reading does not block, writing does. */
function makePipe(done) {
  const shell = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'pipe', 'ignore'], env: {} });
  let answered = false;
  const answer = (ends) => {
    if (answered) return;
    answered = true;
    shell.kill('SIGKILL');
    done(ends);
  };
  shell.stdin.on('error', () => {});
  shell.on('error', () => answer(null));
  shell.on('exit', () => answer(null));
  shell.stdout.once('data', () => {
    let ends = null;
    try {
      ends = openEnds(`/proc/${shell.pid}/fd/${DESCRIPTOR}`);
    } catch {
      // A machine that does not let one process open what another has.
    }
    answer(ends);
  });
}

module.exports = { makePipe };
