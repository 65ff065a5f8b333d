// From fork(2) to `ready`: what a copy does before its invocation can come, in this order.
//
//   session       a signal to its process group (kill(0, …)) would reach its zygote and every other copy
//   cgroups       it leaves its zygote's limits for its own
//   namespaces    mounts, System V objects and network of its own; it is process 1 of its own process namespace
//   /tmp, /proc   new ones, also where it stands in one of them; no terminals
//   descriptors   its own channel, answers and output; nothing of its zygote's
//   privileges    none are left
//   loop, random streams, clocks: its own; see separate.cjs
//   rehearsal     a dummy invocation through the whole path
'use strict';

const { writeSync } = require('node:fs');
const ffi = require('./ffi.cjs');
const channel = require('./channel.cjs');
const descriptors = require('./descriptors.cjs');
const own = require('./own.cjs');
const separate = require('./separate.cjs');
const serve = require('./serve.cjs');

const CLONE_NEWNS = 0x20000;
const CLONE_NEWIPC = 0x8000000;
const CLONE_NEWNET = 0x40000000;
const FORK_NEW_NETWORK = 1;
const FORK_ENTER_NETWORK = 2;
const FORK_ONCE = 4;

const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_REMOUNT = 32;
const MS_BIND = 4096;

const TMP_OPTIONS = `mode=1777,size=${process.env.PERCH_TMP_BYTES_MAX}`;
delete process.env.PERCH_TMP_BYTES_MAX;

function joinCgroups(descriptors) {
  for (const descriptor of descriptors) {
    writeSync(descriptor, '0');
    ffi.close(descriptor);
  }
}

function mountOwn() {
  ffi.mount('tmpfs', '/tmp', 'tmpfs', MS_NOSUID | MS_NODEV, TMP_OPTIONS);
  ffi.mount('proc', '/proc', 'proc', MS_NOSUID | MS_NODEV | MS_NOEXEC, null);
  // The user inside owns the settings of its network there, which outlive the copy.
  ffi.mount('/proc/sys', '/proc/sys', null, MS_BIND, null);
  const flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  ffi.mount('none', '/proc/sys', null, flags, null);
  // The terminals that one copy makes there could be opened by all others: a copy has none.
  ffi.mount('tmpfs', '/dev/pts', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=555,nr_inodes=1');
}

/** Called in the child of a fork. `zygote`: what it has that a copy must let go of. */
function becomeCopy({ flags, rights }, { pidNamespace, stale, folder }) {
  const [channelIn, answers, output, ...others] = rights;
  const network = (flags & FORK_ENTER_NETWORK) === 0 ? -1 : others.shift();
  ffi.setsid();
  joinCgroups(others);
  ffi.unshare(CLONE_NEWNS | CLONE_NEWIPC | ((flags & FORK_NEW_NETWORK) === 0 ? 0 : CLONE_NEWNET));
  if (network >= 0) {
    ffi.setns(network, CLONE_NEWNET);
    ffi.close(network);
  }
  mountOwn();
  // By its name: where it stands now may be its zygote's /tmp.
  ffi.chdir(folder);
  ffi.dup2(channelIn, 3);
  ffi.dup2(answers, 4);
  ffi.dup2(output, 1);
  ffi.dup2(output, 2);
  for (const descriptor of [channelIn, answers, output, pidNamespace]) ffi.close(descriptor);
  ffi.dropCapabilities();
  if ((flags & FORK_NEW_NETWORK) !== 0) channel.send(channel.Kind.made, 0, 0, '');
  ffi.renewLoop();
  descriptors.close(stale);
  separate.separate();
  if ((flags & FORK_ONCE) !== 0) serve.serveOnce();
  own.setImmediate(() => serve.rehearse(serve.start));
}

module.exports = { becomeCopy };
