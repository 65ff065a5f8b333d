// Whether a connection comes from outside of this sandbox. With the network of the host other users of the machine, and
// the instances of other functions, could reach the Runtime API too, and answer an invocation that is not theirs. As
// root each instance is a user of its own, so the owner of the other end tells.
'use strict';

const { readFileSync } = require('node:fs');

const own = String(process.getuid());

function hex(number, digits) {
  return number.toString(16).toUpperCase().padStart(digits, '0');
}

/** The address in the kernel's table; a program may also have opened a socket of IPv6, and has the address mapped then. */
function addressForms(address) {
  const bytes = address.split('.').map(Number).reverse();
  const plain = bytes.map((byte) => hex(byte, 2)).join('');
  return [plain, `0000000000000000FFFF0000${plain}`];
}

/** The row of the table whose own end is `from`, and the other one's port `toPort`. */
function findRow(table, from, toPort) {
  for (let at = table.indexOf(from); at >= 0; at = table.indexOf(from, at + 1)) {
    const columns = table.slice(at + 2, table.indexOf('\n', at)).split(/ +/);
    if (columns[1].endsWith(toPort)) return { uid: columns[6], inode: columns[8] };
  }
  return null;
}

function readTable(file) {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    // A machine without IPv6 has no second table.
    return '';
  }
}

function ownerOf(socket) {
  const { remoteAddress = '', remotePort = 0, localPort = 0 } = socket;
  const [plain, mapped] = addressForms(remoteAddress);
  const port = hex(remotePort, 4);
  const toPort = `:${hex(localPort, 4)}`;
  return (
    findRow(readTable('/proc/net/tcp'), `: ${plain}:${port} `, toPort) ??
    findRow(readTable('/proc/net/tcp6'), `: ${mapped}:${port} `, toPort)
  );
}

/** True where in doubt: a peer that is not in the table, or gone before we looked, could be anybody. */
function isForeign(socket) {
  const owner = ownerOf(socket);
  return owner === null || owner.inode === '0' || owner.uid !== own;
}

module.exports = { isForeign };
