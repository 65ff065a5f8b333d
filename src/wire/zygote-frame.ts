/**
 * Frames between the agent and a stem cell, later zygote, over two Unix stream sockets that it inherits: descriptor 3
 * brings what the agent sends, descriptor 4 takes what it answers. Little-endian; 16 bytes of header, then the body:
 *
 *   0        4      5       6          8        12         16
 *   ┌────────┬──────┬───────┬──────────┬────────┬──────────┬──────────
 *   │ body   │ kind │ flags │ reserved │ copy   │ reserved │ body …
 *   │ bytes  │ u8   │ u8    │ u16      │ u32    │ u32      │
 *   └────────┴──────┴───────┴──────────┴────────┴──────────┴──────────
 *
 * `copy` numbers the copies of one zygote, from 1.
 *
 * The first byte of a FORK brings descriptors with it (SCM_RIGHTS), in this order:
 *   channel (the copy's descriptor 3), answers (its 4), output (its 1 and 2), network namespace (only with
 *   FORK_ENTER_NETWORK), then one for each cgroup: the copy writes `0` into each to join it, and closes it.
 *
 * A zygote works through its frames one at a time, blocking between two. After each it reaps what has ended and reports it.
 *
 *   agent                         zygote                          copy
 *     │ ◀── CELL ─────────────────── │ booted
 *     │ ─── ADOPT ─────────────────▶ │ loads the function
 *     │ ◀── INITIALISED ──────────── │   (or INIT_ERROR, or UNCOPYABLE)
 *     │ ─── FORK n ────────────────▶ │ fork ──────────────────────▶ │ namespaces, cgroups, descriptors
 *     │ ◀───────────────────────────────────── made, ready ──────── │ rehearsed; waits for its invocation
 *     │ ─── invoke ───────────────────────────────────────────────▶ │ runs, answers, ends
 *     │ ─── REAP n ────────────────▶ │
 *     │ ◀── EXITED n ─────────────── │
 */
export const ZYGOTE_HEADER_BYTES = 16;

export const ZygoteKind = {
  /** agent → cell: the function lies at its place now. Body: JSON {"env": {name: value}}, the environment, whole. */
  adopt: 2,
  /** agent → zygote: make copy `copy`. */
  fork: 3,
  /** agent → zygote: copy `copy` has closed its descriptors; if it has not been reaped yet, wait a little until it can be. */
  reap: 4,
  /** cell → agent: booted; body empty. */
  cell: 32,
  /** zygote → agent: initialised, and can be copied; body empty. */
  initialised: 33,
  /** zygote → agent: initialisation failed; body is a Lambda error object as JSON. The zygote ends. */
  initError: 34,
  /** zygote → agent: initialised, and cannot be copied; body: the reasons, one a line. The zygote waits to be killed. */
  uncopyable: 35,
  /** zygote → agent: copy `copy` has ended; body: its status as wait(2) gives it, u32. */
  exited: 36,
  /** zygote → agent: log output, UTF-8 text with its line ends. */
  log: 37,
} as const;

export type ZygoteKind = (typeof ZygoteKind)[keyof typeof ZygoteKind];

/** In the flags of FORK: the copy makes itself a network namespace. */
export const FORK_NEW_NETWORK = 1;
/** In the flags of FORK: the copy enters the network namespace whose descriptor came along. */
export const FORK_ENTER_NETWORK = 2;
/** In the flags of FORK: the copy ends by itself after its one answer, which bears FLAG_LAST. */
export const FORK_ONCE = 4;
