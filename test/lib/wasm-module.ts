/**
 * Writes WebAssembly modules in their binary form, so that tests and benchmarks need no compiler. Bodies are
 * instructions as bytes; `op` makes those that need more than one.
 * Format: https://webassembly.github.io/spec/core/binary/
 */
export const I32 = 0x7f;
export const I64 = 0x7e;

/** Instructions, one after the other however they are nested. */
export type Code = readonly (number | Code)[];

export interface WasmFunction {
  readonly params: readonly number[];
  readonly results: readonly number[];
  readonly locals?: readonly number[];
  readonly body: Code;
  /** The name that it is exported under. */
  readonly export?: string;
}

export interface WasmImport {
  readonly module: string;
  readonly name: string;
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export interface WasmSpec {
  /** They are the first functions: import 0 is function 0. */
  readonly imports?: readonly WasmImport[];
  readonly functions?: readonly WasmFunction[];
  /** Pages of 64 KB. */
  readonly memory?: { readonly min: number; readonly max?: number; readonly export?: string };
  /** Mutable globals of type i32, by their first values. */
  readonly globals?: readonly number[];
  readonly data?: readonly { readonly at: number; readonly bytes: string | Uint8Array }[];
  /** Index of the function that runs at instantiation. */
  readonly start?: number;
}

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest !== 0);
  return bytes;
}

function signed(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    const low = Number(rest & 0x7fn);
    const done = (rest >> 7n === 0n && (low & 0x40) === 0) || (rest >> 7n === -1n && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

export const op = {
  i32: (value: number): number[] => [0x41, ...signed(BigInt(value | 0))],
  i64: (value: bigint): number[] => [0x42, ...signed(BigInt.asIntN(64, value))],
  get: (local: number): number[] => [0x20, ...unsigned(local)],
  set: (local: number): number[] => [0x21, ...unsigned(local)],
  globalGet: (index: number): number[] => [0x23, ...unsigned(index)],
  globalSet: (index: number): number[] => [0x24, ...unsigned(index)],
  call: (index: number): number[] => [0x10, ...unsigned(index)],
  load8: [0x2d, 0, 0],
  load32: [0x28, 2, 0],
  store8: [0x3a, 0, 0],
  store32: [0x36, 2, 0],
  add: [0x6a],
  drop: [0x1a],
  grow: [0x40, 0],
  divide: [0x6d],
  unreachable: [0x00],
  /** loop … end that begins again for ever. */
  forever: (body: Code): Code => [0x03, 0x40, body, 0x0c, 0, 0x0b],
  /** (pointer << 32) | length, as a handler returns it. */
  packed: (pointer: number, length: number): number[] => op.i64((BigInt(pointer) << 32n) | BigInt(length)),
} as const;

function vector(items: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from(unsigned(items.length)), ...items]);
}

function counted(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(unsigned(bytes.length)), bytes]);
}

function section(id: number, items: readonly Uint8Array[]): Buffer {
  return items.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([id]), counted(vector(items))]);
}

function signature(each: { params: readonly number[]; results: readonly number[] }): Buffer {
  return Buffer.concat([Buffer.from([0x60]), counted(Buffer.from(each.params)), counted(Buffer.from(each.results))]);
}

function name(text: string): Buffer {
  return counted(Buffer.from(text));
}

function flat(code: Code): number[] {
  return code.flatMap((each) => (typeof each === 'number' ? [each] : flat(each)));
}

function code(each: WasmFunction): Buffer {
  const locals = vector((each.locals ?? []).map((type) => Buffer.from([1, type])));
  return counted(Buffer.concat([locals, Buffer.from(flat(each.body)), Buffer.from([0x0b])]));
}

export function wasmModule(spec: WasmSpec): Buffer {
  const { imports = [], functions = [], memory, globals = [], data = [], start } = spec;
  // A type for each function, repeated or not: nobody minds.
  const types = [...imports, ...functions].map(signature);
  const exports = functions.flatMap((each, index) =>
    each.export === undefined
      ? []
      : [Buffer.concat([name(each.export), Buffer.from([0, ...unsigned(imports.length + index)])])],
  );
  if (memory !== undefined) exports.push(Buffer.concat([name(memory.export ?? 'memory'), Buffer.from([2, 0])]));
  const limits =
    memory === undefined
      ? []
      : [
          Buffer.from(
            memory.max === undefined
              ? [0, ...unsigned(memory.min)]
              : [1, ...unsigned(memory.min), ...unsigned(memory.max)],
          ),
        ];
  return Buffer.concat([
    Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]),
    section(1, types),
    section(
      2,
      imports.map((each, index) =>
        Buffer.concat([name(each.module), name(each.name), Buffer.from([0, ...unsigned(index)])]),
      ),
    ),
    section(
      3,
      functions.map((_, index) => Buffer.from(unsigned(imports.length + index))),
    ),
    section(5, limits),
    section(
      6,
      globals.map((value) => Buffer.from([I32, 1, ...op.i32(value), 0x0b])),
    ),
    section(7, exports),
    start === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.from([8]), counted(Buffer.from(unsigned(start)))]),
    section(10, functions.map(code)),
    section(
      11,
      data.map(({ at, bytes }) =>
        Buffer.concat([Buffer.from([0, ...op.i32(at), 0x0b]), counted(Buffer.from(bytes as Uint8Array))]),
      ),
    ),
  ]);
}
