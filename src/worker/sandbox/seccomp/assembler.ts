/**
 * A small assembler for classic BPF, the language of seccomp filters. Only what a filter needs: load a word of
 * `struct seccomp_data`, compare, mask, return. Jumps go forward to labels; conditional jumps of classic BPF reach 255
 * instructions at most, so each is written as "skip the next one unless true" around a long jump.
 */
const BPF_LD_W_ABS = 0x20;
const BPF_JA = 0x05;
const BPF_JEQ_K = 0x15;
const BPF_JGE_K = 0x35;
const BPF_AND_K = 0x54;
const BPF_RET_K = 0x06;

/** Offsets in `struct seccomp_data` (little-endian machines). */
export const SECCOMP_DATA = {
  nr: 0,
  arch: 4,
  argumentLow: (index: number): number => 16 + index * 8,
  argumentHigh: (index: number): number => 20 + index * 8,
} as const;

export interface Instruction {
  code: number;
  jt: number;
  jf: number;
  k: number;
}

export class Assembler {
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<string, number>();
  readonly #jumps: { at: number; label: string }[] = [];

  load(offset: number): void {
    this.#emit(BPF_LD_W_ABS, offset);
  }

  and(mask: number): void {
    this.#emit(BPF_AND_K, mask);
  }

  ret(value: number): void {
    this.#emit(BPF_RET_K, value);
  }

  jump(label: string): void {
    this.#jumps.push({ at: this.#instructions.length, label });
    this.#emit(BPF_JA, 0);
  }

  jumpIfEqual(value: number, label: string): void {
    this.#emit(BPF_JEQ_K, value, 0, 1);
    this.jump(label);
  }

  jumpIfAtLeast(value: number, label: string): void {
    this.#emit(BPF_JGE_K, value, 0, 1);
    this.jump(label);
  }

  label(name: string): void {
    if (this.#labels.has(name)) throw new Error(`label ${name} is defined twice`);
    this.#labels.set(name, this.#instructions.length);
  }

  /** The program as the kernel reads it: 8 bytes an instruction. */
  assemble(): Buffer {
    for (const { at, label } of this.#jumps) {
      const target = this.#labels.get(label);
      if (target === undefined) throw new Error(`label ${label} is not defined`);
      if (target <= at) throw new Error(`jump to ${label} goes backward`);
      (this.#instructions[at] as Instruction).k = target - at - 1;
    }
    const program = Buffer.alloc(this.#instructions.length * 8);
    this.#instructions.forEach((instruction, index) => {
      program.writeUInt16LE(instruction.code, index * 8);
      program.writeUInt8(instruction.jt, index * 8 + 2);
      program.writeUInt8(instruction.jf, index * 8 + 3);
      program.writeUInt32LE(instruction.k >>> 0, index * 8 + 4);
    });
    return program;
  }

  #emit(code: number, k: number, jt = 0, jf = 0): void {
    this.#instructions.push({ code, jt, jf, k });
  }
}
