/**
 * Says of a plug-in, before it is used, that it is bounded in time and memory by what it is, as the kernel does with eBPF programs: a
 * WebAssembly module without imports, loops, recursion, indirect calls and growth, of one page of memory at most.
 *
 * Without loops nothing in a function runs twice, and without recursion calls come to an end: the most instructions that a call of `on`
 * can run is a sum over the functions, and has a bound. Whether types fit is not looked at here: the engine that compiles the module does.
 * What this reads it reads as the engine does, or refuses it: a section or a body that it does not read to its last byte is none.
 *
 * Rejected: fuel, counted as it runs. It needs an interpreter or a rewritten module, and makes a wrong plug-in fail late.
 * Format: https://webassembly.github.io/spec/core/binary/
 */
import { ByteReader, ByteFault } from './plugin-bytes.ts';
import { readBody, VALUE_TYPES } from './plugin-body.ts';

export interface PluginLimits {
  readonly bytesMax: number;
  readonly functionCountMax: number;
  /** Of a function, its parameters not among them. */
  readonly localCountMax: number;
  /** That one call of `on` can run, in the worst case. */
  readonly instructionCountMax: number;
}

export const PLUGIN_LIMITS: PluginLimits = {
  bytesMax: 16 * 1024,
  functionCountMax: 64,
  localCountMax: 256,
  instructionCountMax: 10_000,
};

/** What is wrong with a plug-in; the message names it, and what would be right. */
export interface PluginFault {
  /** Into the module's bytes. */
  readonly offset: number;
  /** Its index; -1: it is none of a function. */
  readonly functionIndex: number;
  readonly message: string;
}

export interface PluginFacts {
  readonly functionCount: number;
  /** That one call of `on` can run, in the worst case. */
  readonly instructionCount: number;
  readonly memoryBytes: number;
}

const PAGE_BYTES = 65_536;
const I32 = 0x7f;
const FUNCTION_TYPE = 0x60;
const ENTRY = 'on';
/** In the order in which they come; what is not here is refused by its name. */
const ORDER = [1, 3, 5, 6, 7, 10, 11];
const REFUSED: Readonly<Record<number, string>> = {
  2: 'imports; a plug-in has none',
  4: 'a table; a plug-in has no indirect calls',
  8: 'a start function; a plug-in runs only when it is asked',
  9: 'elements of a table; a plug-in has no indirect calls',
  12: 'a count of data segments, which only bulk memory needs; compile without it',
  13: 'exceptions; a plug-in has none',
};

interface FunctionType {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

/** Of each function, once its body has been read. */
interface Body {
  readonly offset: number;
  readonly instructionCount: number;
  readonly callees: readonly number[];
}

/** Facts of a plug-in that is bounded, or what is wrong with it. Never throws, whatever the bytes. */
export function verifyPlugin(bytes: Uint8Array, limits: PluginLimits = PLUGIN_LIMITS): PluginFacts | PluginFault {
  if (bytes.length > limits.bytesMax) {
    const message = `the module has ${bytes.length} bytes; ${limits.bytesMax} are the most.`;
    return { offset: 0, functionIndex: -1, message };
  }
  const verifier = new Verifier(bytes, limits);
  try {
    return verifier.run();
  } catch (error) {
    if (!(error instanceof ByteFault)) throw error;
    return { offset: error.offset, functionIndex: verifier.functionIndex, message: error.message };
  }
}

class Verifier {
  /** That is being read; -1: none. */
  functionIndex = -1;
  readonly #reader: ByteReader;
  readonly #limits: PluginLimits;
  readonly #types: FunctionType[] = [];
  /** By function: the index of its type. */
  readonly #functions: number[] = [];
  readonly #bodies: Body[] = [];
  #memoryBytes = 0;
  #entry = -1;

  constructor(bytes: Uint8Array, limits: PluginLimits) {
    this.#reader = new ByteReader(bytes);
    this.#limits = limits;
  }

  run(): PluginFacts {
    const reader = this.#reader;
    for (const byte of [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) {
      if (reader.byte() !== byte) throw reader.fault('this is no WebAssembly module of version 1.', 1);
    }
    for (let last = -1; !reader.isAtEnd;) last = this.#section(last);
    const { length } = this.#functions;
    if (this.#bodies.length !== length) throw reader.fault(`${length} functions are declared, and not as many come.`);
    if (this.#entry < 0) throw reader.fault(`no function is exported as '${ENTRY}'; a plug-in exports it.`);
    const memoryBytes = this.#memoryBytes;
    return { functionCount: length, instructionCount: this.#instructionCount(), memoryBytes };
  }

  /** The place of the section among those that come in order. */
  #section(last: number): number {
    const reader = this.#reader;
    const id = reader.byte();
    const refused = REFUSED[id];
    if (refused !== undefined) throw reader.fault(`the module has ${refused}.`, 1);
    const place = ORDER.indexOf(id);
    if (id !== 0 && place <= last) throw reader.fault(`section ${id} is unknown, or stands in a wrong place.`, 1);
    const end = reader.span(reader.u32());
    if (id === 0) {
      // Names and the like; the engine reads no further than the name of the section either.
      reader.name();
      reader.skipTo(end);
      return last;
    }
    this.#contents(id);
    reader.mustBeAt(end, `section ${id}`);
    return place;
  }

  #contents(id: number): void {
    const reader = this.#reader;
    if (id === 5) return this.#memory();
    if (id === 10) return this.#code();
    // Each item takes a byte at least, so there are no more of them than bytes.
    for (let rest = reader.u32(); rest > 0; rest--) {
      if (id === 1) this.#types.push(this.#functionType());
      else if (id === 3) this.#declare();
      else if (id === 6) this.#global();
      else if (id === 7) this.#export();
      else this.#data();
    }
  }

  #functionType(): FunctionType {
    const reader = this.#reader;
    if (reader.byte() !== FUNCTION_TYPE) throw reader.fault('this is no type of a function.', 1);
    const params = this.#valueTypes();
    return { params, results: this.#valueTypes() };
  }

  #valueTypes(): number[] {
    const types: number[] = [];
    for (let rest = this.#reader.u32(); rest > 0; rest--) types.push(this.#valueType());
    return types;
  }

  #valueType(): number {
    const type = this.#reader.byte();
    if (VALUE_TYPES.includes(type)) return type;
    throw this.#reader.fault(`a value has the type 0x${type.toString(16)}; a plug-in has i32 and i64.`, 1);
  }

  #declare(): void {
    const reader = this.#reader;
    const type = reader.u32();
    if (type >= this.#types.length) throw reader.fault(`there is no type ${type}.`, 1);
    const { functionCountMax } = this.#limits;
    if (this.#functions.push(type) > functionCountMax) {
      throw reader.fault(`the module has more than ${functionCountMax} functions.`, 1);
    }
  }

  #memory(): void {
    const reader = this.#reader;
    const count = reader.u32();
    if (count > 1) throw reader.fault(`the module has ${count} memories; a plug-in has one at most.`, 1);
    if (count === 0) return;
    if (reader.byte() !== 1) throw reader.fault('the memory has no maximum; a plug-in has one of 1 page at most.', 1);
    const min = reader.u32();
    const max = reader.u32();
    if (max > 1 || min > max) {
      throw reader.fault(`the memory is of ${min} to ${max} pages; a plug-in has 1 at most.`, 1);
    }
    this.#memoryBytes = min * PAGE_BYTES;
  }

  #global(): void {
    const reader = this.#reader;
    this.#valueType();
    if (reader.byte() > 1) throw reader.fault('this is no global.', 1);
    this.#constant();
  }

  /** Its value, where it is an i32. */
  #constant(): number {
    const reader = this.#reader;
    const opcode = reader.byte();
    if (opcode !== 0x41 && opcode !== 0x42) throw reader.fault('a first value has to be a constant, i32 or i64.', 1);
    const value = opcode === 0x41 ? reader.signed(32) : reader.signed(64);
    if (reader.byte() !== 0x0b) throw reader.fault('a first value has to be one constant.', 1);
    return value;
  }

  #export(): void {
    const reader = this.#reader;
    const name = reader.name();
    const kind = reader.byte();
    const index = reader.u32();
    if (kind !== 0) {
      // Compilers export the memory; nobody here uses it.
      if (kind === 2) return;
      throw reader.fault(`'${name}' is exported, and is no function; a plug-in exports '${ENTRY}'.`, 1);
    }
    if (name !== ENTRY) throw reader.fault(`'${name}' is exported; a plug-in exports '${ENTRY}' and nothing else.`, 1);
    const type = this.#types[this.#functions[index] ?? -1];
    if (type === undefined) throw reader.fault(`there is no function ${index}.`, 1);
    if (type.params.join() !== [I32, I32, I32].join() || type.results.join() !== String(I32)) {
      throw reader.fault(`'${ENTRY}' has to take three i32 and give one.`, 1);
    }
    this.#entry = index;
  }

  #code(): void {
    const reader = this.#reader;
    const count = reader.u32();
    if (count !== this.#functions.length) {
      throw reader.fault(`${this.#functions.length} functions are declared, and ${count} have a body.`, 1);
    }
    for (this.functionIndex = 0; this.functionIndex < count; this.functionIndex++) this.#body();
    this.functionIndex = -1;
  }

  #body(): void {
    const reader = this.#reader;
    const end = reader.span(reader.u32());
    const offset = reader.at;
    let localCount = 0;
    for (let rest = reader.u32(); rest > 0; rest--) {
      localCount += reader.u32();
      this.#valueType();
      if (localCount > this.#limits.localCountMax) {
        throw reader.fault(`it has more than ${this.#limits.localCountMax} local variables.`, 1);
      }
    }
    const found = readBody(reader, this.#functions.length);
    reader.mustBeAt(end, 'the function');
    this.#bodies.push({ offset, ...found });
  }

  #data(): void {
    const reader = this.#reader;
    if (reader.u32() !== 0) throw reader.fault('a data segment has to be an active one of memory 0.', 1);
    const at = this.#constant() >>> 0;
    const length = reader.u32();
    reader.skipTo(reader.span(length));
    if (at + length > this.#memoryBytes) {
      throw reader.fault(`a data segment ends at ${at + length}, and the memory has ${this.#memoryBytes} bytes.`);
    }
  }

  /** Of every function the most that a call of it can run: its own instructions, and those of each call in it. Callees first. */
  #instructionCount(): number {
    const counts = new Array<number>(this.#bodies.length).fill(-1);
    const path: number[] = [];
    const visit = (index: number): number => {
      const { callees, instructionCount, offset } = this.#bodies[index]!;
      if (counts[index]! >= 0) return counts[index]!;
      this.functionIndex = index;
      if (path.includes(index)) throw new ByteFault(offset, 'it calls itself, perhaps through others.');
      path.push(index);
      const count = callees.reduce((sum, callee) => sum + visit(callee), instructionCount);
      path.pop();
      this.functionIndex = index;
      const { instructionCountMax } = this.#limits;
      if (count > instructionCountMax) {
        const message = `it may run ${count} instructions, with what it calls; ${instructionCountMax} are the most.`;
        throw new ByteFault(offset, message);
      }
      return (counts[index] = count);
    };
    // Those that nobody calls are looked at too: what is refused does not depend on who calls whom.
    for (let index = 0; index < this.#bodies.length; index++) visit(index);
    return counts[this.#entry]!;
  }
}
