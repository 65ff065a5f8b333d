/** The tables of docs/ATTACKS.md, from the attempts themselves. */
import { ATTEMPTS, ZYGOTE_ATTEMPTS } from './attempts.ts';
import { EXHAUSTIONS, FORGERIES, ZYGOTE_EXHAUSTIONS } from './exhaustion.ts';
import { LEFTOVERS, TERMINAL } from './leftovers.ts';
import { SHARING_ROWS } from './sharing.ts';
import { WASM_ATTEMPTS } from './wasm.ts';

interface Row {
  readonly tried: string;
  readonly stoppedBy: string;
}

const BREAKOUT = 'breakout';
const FRESH = 'fresh';
const EXHAUSTION = 'exhaustion';
const CGROUPS = 'cgroups';
const SHARING = 'sharing';

/** What has a test of its own rather than an entry in a list. */
const LEFTOVERS_TOO: readonly Row[] = [
  TERMINAL,
  {
    tried: 'output without an end of line, and a child that goes on writing',
    stoppedBy: 'the copy ends; its output is a socket of its own',
  },
  {
    tried: 'a signal to its process group, or to all that it can signal: its zygote, other copies',
    stoppedBy: 'process namespace, and a session of its own: signals to a group do not stop at namespaces',
  },
  {
    tried: 'files where its zygote stands: a function that changed to /tmp when it initialised',
    stoppedBy: 'a copy enters its folder anew, by name',
  },
  {
    tried:
      'draw what another copy draws: `Math.random`, `crypto`, `random`, `uuid`, `secrets`, `tempfile`, `ssl`; 200 copies',
    stoppedBy: 'every generator is seeded anew in the copy, or asks the kernel',
  },
  { tried: "see its zygote's process number and clocks", stoppedBy: 'they are set in the copy' },
];

const CGROUP_ROWS: readonly Row[] = [
  {
    tried:
      "keep the descriptors by which its copies join their cgroups (opened by root), and join a slot that is another function's by then",
    stoppedBy: 'a slot that changes hands gets new cgroups; descriptors of the old ones lead nowhere',
  },
  {
    tried: 'sit in the cgroup of a slot that is free: outside of its own memory limit and freezer',
    stoppedBy:
      'a free slot is frozen and has next to no memory, and where a process runs is decided by the group that freezes; who sits there is killed when it is needed, and the group goes',
  },
];

const WASM_ROWS: readonly Row[] = [
  { tried: 'grow its memory beyond its limit', stoppedBy: '`memory.grow` answers -1' },
  { tried: 'import what no host gives', stoppedBy: 'it is not instantiated' },
  { tried: 'an endless loop', stoppedBy: 'the timeout' },
];

function rows(suite: string, attempts: readonly Row[]): string[] {
  return attempts.map(({ tried, stoppedBy }) => `| ${tried} | ${stoppedBy} | ${suite} |`);
}

export const TABLES: Readonly<Record<string, readonly string[]>> = {
  'Break out': rows(BREAKOUT, ATTEMPTS),
  'Break out while a zygote initialises': [...rows(BREAKOUT, ZYGOTE_ATTEMPTS), ...rows(CGROUPS, CGROUP_ROWS)],
  'Leave something for the next invocation': rows(FRESH, [...LEFTOVERS, ...LEFTOVERS_TOO]),
  'Use up what others need': rows(EXHAUSTION, [...EXHAUSTIONS, ...ZYGOTE_EXHAUSTIONS]),
  "Answer what is another's": rows(EXHAUSTION, FORGERIES),
  'Take a core that others use': rows(SHARING, SHARING_ROWS),
  WebAssembly: rows(BREAKOUT, [...WASM_ATTEMPTS, ...WASM_ROWS]),
};
