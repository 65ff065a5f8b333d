/** Why hosts cannot be made here; false where they can. Said in capitals, so that a skipped run is not taken for a good one. */
import { execFileSync } from 'node:child_process';

export const NO_HOSTS: string | false = whyNot();

/** Another time of day for a process, from Debian's package faketime. */
export const NO_CLOCKS: string | false =
  NO_HOSTS || (works('faketime', '--version') ? false : 'NEEDS faketime: install it to check this');

function whyNot(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    return 'NEEDS ROOT: run the tests as root to check this';
  }
  const missing = ['ip', 'tc', 'nft', 'nsenter', 'setpriv'].filter((program) => !works(program, '--version', '-V'));
  if (missing.length > 0) return `NEEDS ${missing.join(', ')}: install iproute2, nftables and util-linux to check this`;
  if (!works('unshare', '--net', 'true')) return 'NO NETWORK NAMESPACES here';
  return works('unshare', '--net', 'nft', 'add table bridge perch') ? false : 'NO NFTABLES OF BRIDGES in this kernel';
}

/** With one of the arguments, since not all programs say their version alike. */
function works(program: string, ...args: string[]): boolean {
  const tries = program === 'unshare' ? [args] : args.map((each) => [each]);
  return tries.some((each) => {
    try {
      execFileSync(program, each, { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}
