// Gives the memory of dead instances back between two invocations. V8 collects by itself, but as it sees the handle of a
// memory and not what the module touched, far too late for those that touch much: memories of 40 MB piled up to 700 MB.
// Nor may it be done each time: a collection takes 3 ms, twenty times what an instance does.
//
// Invariant: when an invocation starts, the process holds no more than the runtime's share, or than it held after a
// collection and a little. So whatever an instance may grow to, there is room for.
'use strict';

const { openSync, readSync } = require('node:fs');

const MB = 1024 * 1024;
/** Memory of dead instances, as they declared it, after which it is worth a look how much is held. */
const UNSEEN_BYTES_MAX = 8 * MB;
/** Where a module leaves less than this of the share to garbage, since its code or its data are large. */
const GARBAGE_BYTES_MIN = 16 * MB;

const shareBytes = Number(process.env.PERCH_MEMORY_SHARE_MB) * MB;
const status = openSync('/proc/self/status');
const text = Buffer.alloc(4096);
let ceilingBytes = shareBytes;
let unseenBytes = 0;

/** What the process holds: its resident memory without the pages of files, which the kernel can take back. */
function heldBytes() {
  const lines = text.latin1Slice(0, readSync(status, text, 0, text.length, 0));
  return parseInt(lines.slice(lines.indexOf('RssAnon:') + 'RssAnon:'.length), 10) * 1024;
}

/** `bytes`: the size of the memory of an instance that nobody refers to any more. */
function collect(bytes) {
  unseenBytes += bytes;
  if (unseenBytes < UNSEEN_BYTES_MAX) return;
  unseenBytes = 0;
  if (heldBytes() <= ceilingBytes) return;
  globalThis.gc({ type: 'major' });
  ceilingBytes = Math.max(shareBytes, heldBytes() + GARBAGE_BYTES_MIN);
}

module.exports = { collect };
