/** The C programs of the compile pipeline, and what they print, computed here rather than by a compiler. */
export interface Program {
  readonly source: string;
  readonly output: string;
}

export function smallProgram(): Program {
  return {
    source: '#include <stdio.h>\n\nint main(void) {\n  puts("Hello, world");\n  return 0;\n}\n',
    output: 'Hello, world\n',
  };
}

/** Stands for the paper's llvm: `functionCount` functions with loops and switches, each called once for the sum that is printed. */
export function largeProgram(functionCount: number): Program {
  const indexes = Array.from({ length: functionCount }, (_, index) => index);
  const calls = indexes.map((index) => `  sum = sum * 31 + mix${index}(sum);`);
  const source = [
    '#include <stdint.h>',
    '#include <stdio.h>',
    '#include <stdlib.h>',
    '#include <string.h>',
    ...indexes.map(mixSource),
    'int main(void) {',
    '  uint32_t sum = 1;',
    ...calls,
    '  printf("%u\\n", sum);',
    '  return 0;',
    '}',
    '',
  ].join('\n');
  let sum = 1;
  for (const index of indexes) sum = (Math.imul(sum, 31) + mix(index, sum)) >>> 0;
  return { source, output: `${sum}\n` };
}

const MIX_ROUNDS = 40;
const MIX_CASES = 12;

function mixSource(index: number): string {
  const cases = Array.from(
    { length: MIX_CASES },
    (_, which) => `      case ${which}: x = (x ^ ${factor(index, which)}u) * ${factor(which, index)}u + i; break;`,
  );
  return [
    `static uint32_t mix${index}(uint32_t x) {`,
    `  for (uint32_t i = 0; i < ${MIX_ROUNDS}; i++) {`,
    `    switch ((x >> 7) % ${MIX_CASES}) {`,
    ...cases,
    '    }',
    '    x ^= x >> 15;',
    '  }',
    '  return x;',
    '}',
  ].join('\n');
}

function mix(index: number, from: number): number {
  let x = from;
  for (let i = 0; i < MIX_ROUNDS; i++) {
    const which = (x >>> 7) % MIX_CASES;
    x = (Math.imul(x ^ factor(index, which), factor(which, index)) + i) >>> 0;
    x = (x ^ (x >>> 15)) >>> 0;
  }
  return x;
}

/** Odd, so that no bit is lost by multiplying. */
function factor(a: number, b: number): number {
  return ((Math.imul(a + 1, 2_654_435_761) ^ Math.imul(b + 7, 40_503)) | 1) >>> 0;
}
