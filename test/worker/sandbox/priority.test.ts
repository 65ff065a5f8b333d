/** What the platform does with its own priority, and what becomes of that in what it starts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ROOT_ONLY } from './harness.ts';

const PRIORITY = fileURLToPath(new URL('../../../src/worker/sandbox/priority.ts', import.meta.url));
const SCHED_OTHER = 0;
const SCHED_RR = 2;
/** Says the scheduling policy and the nice value of each of its threads, once libuv has its own, and of a child. */
const PROGRAM = `
import { readFileSync, readdirSync, promises } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { goBeforeFunctions, realTimeFinding } from ${JSON.stringify(PRIORITY)};
const of = (stat) => {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { policy: Number(fields[38]), nice: Number(fields[16]) };
};
const finding = realTimeFinding();
const before = of(readFileSync('/proc/self/stat', 'latin1'));
const precedence = goBeforeFunctions();
for (let turn = 0; turn < 20; turn++) await promises.stat('/');
const threads = readdirSync('/proc/self/task').map((id) => of(readFileSync('/proc/self/task/' + id + '/stat', 'latin1')));
const child = of(execFileSync('cat', ['/proc/self/stat']).toString());
process.stdout.write(JSON.stringify({ isOk: finding.ok, before, precedence, threads, child }));
`;

interface Level {
  readonly policy: number;
  readonly nice: number;
}

interface Said {
  /** What the doctor says, and how it leaves the thread that asks. */
  readonly isOk: boolean;
  readonly before: Level;
  readonly precedence: string;
  readonly threads: readonly Level[];
  readonly child: Level;
}

const ORDINARY: Level = { policy: SCHED_OTHER, nice: 0 };

function levels(command: string, ...args: readonly string[]): Said {
  const said = JSON.parse(execFileSync(command, [...args, '--input-type=module', '-e', PROGRAM]).toString()) as Said;
  assert.equal(said.isOk, said.precedence === 'real time');
  assert.deepEqual(said.before, ORDINARY);
  return said;
}

test(
  'who goes before functions is in real time with all its threads, and starts others with the ordinary priority',
  {
    skip: ROOT_ONLY,
  },
  () => {
    const { precedence, threads, child } = levels(process.execPath);
    assert.equal(precedence, 'real time');
    assert.ok(threads.length > 4, `${threads.length} threads: those of libuv are not there`);
    for (const { policy } of threads) assert.equal(policy, SCHED_RR);
    assert.deepEqual(child, ORDINARY);
  },
);

/** One of version 1 has no time for real-time threads until it is given some, where the kernel shares that out (RT_GROUP_SCHED). */
const CPU_CGROUPS = '/sys/fs/cgroup/cpu';
const TIMELESS = existsSync(`${CPU_CGROUPS}/cpu.rt_runtime_us`)
  ? ROOT_ONLY
  : 'NEEDS a cpu controller that keeps real-time threads out: where nothing may be in real time is not checked here';

test(
  'where nothing may be in real time it is the nice value that goes before functions',
  { skip: TIMELESS },
  (context) => {
    const cgroup = mkdtempSync(`${CPU_CGROUPS}/perch-test-`);
    context.after(() => rmdirSync(cgroup));
    const join = `echo $$ > ${cgroup}/cgroup.procs && exec "$@"`;
    const { precedence, threads, child } = levels('sh', '-c', join, 'sh', process.execPath);
    assert.equal(precedence, 'nice');
    assert.deepEqual(threads[0], { policy: SCHED_OTHER, nice: -10 });
    assert.deepEqual(child, ORDINARY);
  },
);

test('without the right to it everything stays as it is', { skip: ROOT_ONLY }, () => {
  const said = levels('setpriv', '--bounding-set=-sys_nice', '--inh-caps=-sys_nice', process.execPath);
  assert.equal(said.precedence, 'none');
  for (const level of [...said.threads, said.child]) assert.deepEqual(level, ORDINARY);
});
