import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  AUDIT_ARCH,
  type Architecture,
  SECCOMP_RETURN,
  seccompProgram,
  syscallNumber,
  X32_BIT,
} from '../../../src/worker/sandbox/seccomp/filter.ts';
import { SYSCALL_GROUPS, type Verdict } from '../../../src/worker/sandbox/seccomp/policy.ts';
import { SYSCALL_NUMBERS, type SyscallName } from '../../../src/worker/sandbox/seccomp/syscalls.ts';

const ARCHITECTURES: readonly Architecture[] = ['x64', 'arm64'];

/** Runs a classic BPF program as the kernel would; knows only what the assembler emits. */
function runProgram(program: Buffer, architecture: number, number: number, args: readonly number[]): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(architecture, 4);
  args.forEach((value, index) => data.writeUInt32LE(value >>> 0, 16 + index * 8));
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const code = program.readUInt16LE(at * 8);
    const [jt, jf] = [program.readUInt8(at * 8 + 2), program.readUInt8(at * 8 + 3)];
    const k = program.readUInt32LE(at * 8 + 4);
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x35) at += accumulator >= k ? jt : jf;
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x06) return k;
    else assert.fail(`unknown instruction ${code}`);
  }
  return assert.fail('the program ran off its end');
}

const EXPECTED: Record<Exclude<Verdict, 'arguments'>, number> = {
  allow: SECCOMP_RETURN.allow,
  refuse: SECCOMP_RETURN.refuse,
  absent: SECCOMP_RETURN.absent,
  kill: SECCOMP_RETURN.kill,
};

for (const architecture of ARCHITECTURES) {
  const program = seccompProgram(architecture);
  const call = (name: SyscallName, ...args: number[]): number =>
    runProgram(program, AUDIT_ARCH[architecture], syscallNumber(name, architecture), args);

  test(`${architecture}: every number gets the verdict of its group, and an unknown one ENOSYS`, () => {
    const verdicts = new Map<number, Verdict>();
    for (const group of SYSCALL_GROUPS) {
      for (const name of group.calls) verdicts.set(syscallNumber(name, architecture), group.verdict);
    }
    for (let number = 0; number < 1024; number++) {
      const verdict = verdicts.get(number) ?? 'absent';
      if (verdict === 'arguments') continue;
      assert.equal(runProgram(program, AUDIT_ARCH[architecture], number, []), EXPECTED[verdict], `call ${number}`);
    }
  });

  test(`${architecture}: any call of another architecture kills`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), fc.nat(1024), (other, number) => {
        fc.pre(other !== AUDIT_ARCH[architecture]);
        assert.equal(runProgram(program, other, number, []), SECCOMP_RETURN.kill);
      }),
    );
  });

  test(`${architecture}: clone without namespaces, and with any of them`, () => {
    const namespaces = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000];
    const threadFlags = 0x3d0f00;
    assert.equal(call('clone', threadFlags), SECCOMP_RETURN.allow);
    assert.equal(call('clone', 17), SECCOMP_RETURN.allow);
    for (const flag of namespaces) assert.equal(call('clone', threadFlags | flag), SECCOMP_RETURN.refuse);
  });

  test(`${architecture}: socket families, types and protocols`, () => {
    const allowed = (family: number, type: number, protocol: number): boolean => {
      if (family === 16) return protocol === 0;
      return [1, 2, 10].includes(family) && [1, 2, 5].includes(type) && [0, 1, 6, 17].includes(protocol);
    };
    for (let family = 0; family < 48; family++) {
      for (let type = 0; type < 16; type++) {
        for (const protocol of [0, 1, 6, 17, 58, 132, 255, 262]) {
          const expected = allowed(family, type, protocol) ? SECCOMP_RETURN.allow : SECCOMP_RETURN.refuse;
          const closeOnExec = 0o2000000;
          assert.equal(call('socket', family, type, protocol), expected, `${family} ${type} ${protocol}`);
          assert.equal(call('socket', family, type | closeOnExec, protocol), expected);
        }
      }
      assert.equal(call('socketpair', family, 1, 0), family === 1 ? SECCOMP_RETURN.allow : SECCOMP_RETURN.refuse);
    }
  });

  test(`${architecture}: terminal input, personality, core scheduling`, () => {
    assert.equal(call('ioctl', 0, 0x5412), SECCOMP_RETURN.refuse);
    assert.equal(call('ioctl', 0, 0x541c), SECCOMP_RETURN.refuse);
    assert.equal(call('ioctl', 0, 0x5401), SECCOMP_RETURN.allow);
    assert.equal(call('personality', 0xffffffff), SECCOMP_RETURN.allow);
    assert.equal(call('personality', 0x0040000), SECCOMP_RETURN.refuse);
    assert.equal(call('prctl', 62), SECCOMP_RETURN.refuse);
    assert.equal(call('prctl', 15), SECCOMP_RETURN.allow);
  });

  test(`${architecture}: the program fits the kernel's limit`, () => {
    assert.ok(program.length / 8 < 4096);
  });
}

test('x64: the x32 calls kill', () => {
  const program = seccompProgram('x64');
  for (let number = 0; number < 600; number++) {
    assert.equal(runProgram(program, AUDIT_ARCH.x64, X32_BIT | number, []), SECCOMP_RETURN.kill);
  }
});

test('every call is in exactly one group', () => {
  const names = SYSCALL_GROUPS.flatMap((group) => group.calls);
  assert.deepEqual([...names].sort(), Object.keys(SYSCALL_NUMBERS).sort());
});

const HEADERS = ['/usr/include/x86_64-linux-gnu/asm/unistd_64.h', '/usr/include/asm/unistd_64.h'];
const header = HEADERS.find((file) => existsSync(file));

test(
  'numbers agree with the headers of this machine',
  { skip: header === undefined && 'NEEDS the headers of an x86_64 kernel' },
  () => {
    let compared = 0;
    for (const [, name, number] of readFileSync(header as string, 'utf8').matchAll(/#define __NR_(\w+) (\d+)/g)) {
      if (!((name as string) in SYSCALL_NUMBERS)) continue;
      assert.equal(SYSCALL_NUMBERS[name as SyscallName][0], Number(number), name);
      compared++;
    }
    assert.ok(compared > 300);
  },
);

test('docs/SANDBOX.md shows the policy as it is', () => {
  const docs = readFileSync(new URL('../../../docs/SANDBOX.md', import.meta.url), 'utf8');
  for (const group of SYSCALL_GROUPS) {
    const row = `| ${group.name} | ${group.verdict} | ${group.why} | ${group.calls.join(' ')} |`;
    assert.ok(docs.includes(row), `docs/SANDBOX.md lacks, or has an older form of:\n${row}`);
  }
});
