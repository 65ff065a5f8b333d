/**
 * Frames between the agent and an instance, over two Unix socket pairs that the instance inherits:
 * descriptor 3 brings what the agent sends, descriptor 4 takes what the instance answers.
 * Little-endian; 16 bytes of header, then the body:
 *
 *   0        4      5       6            8          12         16
 *   ┌────────┬──────┬───────┬────────────┬──────────┬──────────┬──────────
 *   │ body   │ kind │ flags │ extra      │ sequence │ reserved │ body …
 *   │ bytes  │ u8   │ u8    │ bytes  u16 │ u32      │ u32      │
 *   └────────┴──────┴───────┴────────────┴──────────┴──────────┴──────────
 *
 * Body of INVOKE: deadline (f64, epoch milliseconds), request id (36 bytes ASCII), extra (JSON: client context,
 * trace id, the ARN invoked where it is not the plain one), payload. Body of all others: payload alone.
 * `sequence` names the invocation: each instance counts its own. An answer that carries another one is a breach of
 * protocol.
 *
 * An instance is hostile: whatever it sends is checked here and nowhere else. The runtimes hold their own copy of
 * this layout (they are plain JavaScript, Python, …); test/worker/runtimes checks that the two agree.
 */
export const FRAME_HEADER_BYTES = 16;
export const INVOKE_FIXED_BYTES = 8 + 36;

export const FrameKind = {
  /** agent → instance: run the handler */
  invoke: 1,
  /** instance → agent: initialised; body is empty */
  ready: 16,
  /** instance → agent: initialisation failed; body is a Lambda error object as JSON */
  initError: 17,
  /** instance → agent: the handler's result, as JSON */
  response: 18,
  /** instance → agent: the handler failed; body is a Lambda error object as JSON */
  error: 19,
  /** instance → agent: log output, UTF-8 text with its line ends */
  log: 20,
  /** instance → agent: the payload of the invocation is not JSON; body is the parser's message */
  badPayload: 21,
  /** a copy → agent, before `ready`: it has its namespaces, and can be given a network; body is empty */
  made: 22,
  /** instance → agent: the function says that it waits, or that it goes on; body is empty, since nothing else is believed */
  sleeping: 23,
  awake: 24,
} as const;

export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];
