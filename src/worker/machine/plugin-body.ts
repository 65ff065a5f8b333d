/** Reads the body of a function of a plug-in: which instructions it has, how many, and whom it calls. */
import type { ByteReader } from './plugin-bytes.ts';

/** i32 and i64; what floating point gives may differ in bits from one machine to the next. */
export const VALUE_TYPES: readonly number[] = [0x7f, 0x7e];

export interface BodyFacts {
  readonly instructionCount: number;
  /** By call, in order. */
  readonly callees: readonly number[];
}

const NESTING_MAX = 64;
const NO_TYPE = 0x40;

/** What follows an instruction. */
type Follows = 'nothing' | 'block' | 'end' | 'index' | 'table' | 'call' | 'types' | 'memory' | 'zero' | 'i32' | 'i64';

const FOLLOWS: ReadonlyMap<number, Follows> = new Map([
  ...each('nothing', 0x00, 0x01, 0x05, 0x0f, 0x1a, 0x1b),
  ...each('block', 0x02, 0x04),
  ...each('end', 0x0b),
  ...each('index', 0x0c, 0x0d, ...range(0x20, 0x24)),
  ...each('table', 0x0e),
  ...each('call', 0x10),
  ...each('types', 0x1c),
  // Loads and stores of i32 and i64, not of f32 and f64.
  ...each('memory', 0x28, 0x29, ...range(0x2c, 0x37), ...range(0x3a, 0x3e)),
  ...each('zero', 0x3f),
  ...each('i32', 0x41),
  ...each('i64', 0x42),
  ...each('nothing', ...range(0x45, 0x5a), ...range(0x67, 0x8a), 0xa7, 0xac, 0xad, ...range(0xc0, 0xc4)),
]);

const REFUSED: Readonly<Record<number, string>> = {
  0x03: 'a loop; a plug-in has none, unroll it',
  0x11: 'an indirect call; a plug-in has none',
  0x12: 'a tail call; a plug-in has none',
  0x13: 'an indirect call; a plug-in has none',
  0x40: 'memory.grow; the memory of a plug-in has one size',
};

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function each(follows: Follows, ...opcodes: readonly number[]): (readonly [number, Follows])[] {
  return opcodes.map((opcode) => [opcode, follows] as const);
}

/** Its instructions, up to the `end` of the function. */
export function readBody(reader: ByteReader, functionCount: number): BodyFacts {
  const callees: number[] = [];
  let instructionCount = 0;
  for (let depth = 1; depth > 0;) {
    const opcode = reader.byte();
    const follows = FOLLOWS.get(opcode);
    if (follows === undefined) {
      const what =
        REFUSED[opcode] ?? `the instruction 0x${opcode.toString(16)}, which is not of those for whole numbers`;
      throw reader.fault(`it has ${what}.`, 1);
    }
    instructionCount++;
    if (follows === 'end') depth--;
    else if (follows === 'block' && ++depth > NESTING_MAX) throw reader.fault(`its blocks are nested too deep.`, 1);
    else if (follows === 'call') callees.push(callee(reader, functionCount));
    else skip(reader, follows);
    if (follows === 'block') blockType(reader);
  }
  return { instructionCount, callees };
}

function callee(reader: ByteReader, functionCount: number): number {
  const index = reader.u32();
  if (index >= functionCount) throw reader.fault(`it calls function ${index}, and there are ${functionCount}.`, 1);
  return index;
}

/** A type of its own, or one of those of functions. */
function blockType(reader: ByteReader): void {
  const type = reader.signed(33);
  if (type >= 0 || type === NO_TYPE - 0x80 || VALUE_TYPES.includes(type + 0x80)) return;
  throw reader.fault('a block has a type that is neither i32 nor i64.', 1);
}

function skip(reader: ByteReader, follows: Follows): void {
  switch (follows) {
    case 'index':
      reader.u32();
      break;
    case 'table':
      // The default comes after them.
      for (let rest = reader.u32() + 1; rest > 0; rest--) reader.u32();
      break;
    case 'types':
      if (reader.byte() !== 1 || !VALUE_TYPES.includes(reader.byte()))
        throw reader.fault('it selects a value that is neither i32 nor i64.', 1);
      break;
    case 'memory':
      // An alignment of 64 and more says that the number of a memory follows.
      if (reader.u32() >= 64) throw reader.fault('it names a memory; a plug-in has one.', 1);
      reader.u32();
      break;
    case 'zero':
      if (reader.byte() !== 0) throw reader.fault('it names a memory; a plug-in has one.', 1);
      break;
    case 'i32':
      reader.signed(32);
      break;
    case 'i64':
      reader.signed(64);
      break;
  }
}
