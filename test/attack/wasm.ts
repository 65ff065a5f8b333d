/**
 * What a hostile WebAssembly module can try: the functions of WASI are all that it has. Each row calls one, and says with
 * which error number it is answered. The numbers are those of WASI preview 1.
 */
import { I32, I64, op, type Code, type WasmImport, wasmModule } from '../lib/wasm-module.ts';

export interface WasmAttempt {
  readonly tried: string;
  readonly stoppedBy: string;
  readonly name: string;
  /** Types of what it takes, and its arguments. */
  readonly takes: readonly (readonly [type: number, value: number])[];
  readonly ends: number;
}

const BADF = 8;
/** The first descriptor that a host would give to a folder of its own. */
const FOLDER = 3;
/** The agent's socket. */
const ANSWERS = 4;
const PLACE = 1024;
const NO_FILES = 'there are no files: of the host nothing is there that could be reached';
const NO_SOCKETS = 'there are no sockets';

const i32 = (...values: readonly number[]): (readonly [number, number])[] =>
  values.map((value) => [I32, value] as const);

export const WASM_ATTEMPTS: readonly WasmAttempt[] = [
  {
    tried: 'find a folder that the host has opened for it',
    stoppedBy: NO_FILES,
    name: 'fd_prestat_get',
    takes: i32(FOLDER, PLACE),
    ends: BADF,
  },
  {
    tried: 'open a file',
    stoppedBy: NO_FILES,
    name: 'path_open',
    takes: [...i32(FOLDER, 0, PLACE, 1, 0), [I64, 0], [I64, 0], ...i32(0, PLACE)],
    ends: BADF,
  },
  {
    tried: 'list a folder',
    stoppedBy: NO_FILES,
    name: 'fd_readdir',
    takes: [...i32(FOLDER, PLACE, 64), [I64, 0], ...i32(PLACE)],
    ends: BADF,
  },
  { tried: 'remove a file', stoppedBy: NO_FILES, name: 'path_unlink_file', takes: i32(FOLDER, PLACE, 1), ends: BADF },
  {
    tried: "write to the agent's socket",
    stoppedBy: 'descriptors 0 to 2 are made up, and are all',
    name: 'fd_write',
    takes: i32(ANSWERS, PLACE, 1, PLACE),
    ends: BADF,
  },
  {
    tried: "read from the agent's socket",
    stoppedBy: 'descriptors 0 to 2 are made up, and are all',
    name: 'fd_read',
    takes: i32(FOLDER, PLACE, 1, PLACE),
    ends: BADF,
  },
  {
    tried: 'accept a connection',
    stoppedBy: NO_SOCKETS,
    name: 'sock_accept',
    takes: i32(FOLDER, 0, PLACE),
    ends: BADF,
  },
  {
    tried: 'send on a socket',
    stoppedBy: NO_SOCKETS,
    name: 'sock_send',
    takes: i32(FOLDER, PLACE, 1, 0, PLACE),
    ends: BADF,
  },
];

const ROOM = 2048;
const RESULT = 512;
const ASCII_ZERO = 48;
const DIVIDE_UNSIGNED = 0x6e;
const REMAINDER_UNSIGNED = 0x70;
const EQUAL = 0x46;
/** More than any instance may have. */
const PAGES = 65_535;

/** Local 2 as two digits, at the place in the result. */
function writeDigits(index: number): Code {
  const at = RESULT + 1 + index * 3;
  return [
    [op.i32(at), op.get(2), op.i32(10), DIVIDE_UNSIGNED, op.i32(ASCII_ZERO), op.add, op.store8],
    [op.i32(at + 1), op.get(2), op.i32(10), REMAINDER_UNSIGNED, op.i32(ASCII_ZERO), op.add, op.store8],
  ];
}

/** Answers a text: the error number of each attempt, and last 01 if its memory could not grow beyond its limit. */
export function hostileModule(): Buffer {
  const imports: WasmImport[] = WASM_ATTEMPTS.map(({ name, takes }) => ({
    module: 'wasi_snapshot_preview1',
    name,
    params: takes.map(([type]) => type),
    results: [I32],
  }));
  const calls: Code[] = WASM_ATTEMPTS.map(({ takes }, index) => [
    takes.map(([type, value]) => (type === I32 ? op.i32(value) : op.i64(BigInt(value)))),
    op.call(index),
    op.set(2),
    writeDigits(index),
  ]);
  const grow: Code = [op.i32(PAGES), op.grow, op.i32(-1), EQUAL, op.set(2), writeDigits(WASM_ATTEMPTS.length)];
  const text = `"${Array(WASM_ATTEMPTS.length + 1)
    .fill('__')
    .join(' ')}"`;
  return wasmModule({
    imports,
    functions: [
      { params: [I32], results: [I32], body: [op.i32(ROOM)], export: 'alloc' },
      {
        params: [I32, I32],
        results: [I64],
        locals: [I32],
        body: [calls, grow, op.packed(RESULT, text.length)],
        export: 'handle',
      },
    ],
    memory: { min: 1 },
    data: [{ at: RESULT, bytes: text }],
  });
}

/** Imports what no host of ours gives. */
export function wantingModule(): Buffer {
  return wasmModule({
    imports: [{ module: 'env', name: 'system', params: [I32], results: [I32] }],
    functions: [{ params: [], results: [], body: [], export: '_start' }],
    memory: { min: 1 },
  });
}

export function endlessModule(): Buffer {
  return wasmModule({
    functions: [{ params: [], results: [], body: op.forever([]), export: '_start' }],
    memory: { min: 1 },
  });
}
