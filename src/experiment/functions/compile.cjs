/** The compile pipeline: a C program through the system's compiler, in three steps that hand their files on through the object server. */
'use strict';
const { spawnSync } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { BUILDS, step } = require('./objects.cjs');

const OUTPUT_BYTES_MAX = 1 << 20;

const STEPS = {
  preprocess: { from: 'in.c', to: 'out.i', command: 'cc -E -P in.c -o out.i' },
  assemble: { from: 'in.i', to: 'out.o', command: 'cc -O1 -c in.i -o out.o' },
  link: { from: 'in.o', to: 'out.txt', command: 'cc in.o -o program && ./program >out.txt' },
};

/**
 * Runs `command` and adds the CPU time of all that it ran to the record, which Node's own count leaves out. bash's `times` has
 * milliseconds; other shells have ticks.
 */
function run(command, folder, record) {
  const script = `{ ${command} ; }; status=$?; times >times.txt; exit $status`;
  const done = spawnSync('bash', ['-c', script], { cwd: folder, encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX });
  if (done.error !== undefined) throw done.error;
  if (done.status !== 0)
    throw new Error(`'${command}' ended with ${done.status ?? done.signal}: ${done.stderr.slice(0, 2000)}`);
  const times = readFileSync(path.join(folder, 'times.txt'), 'utf8').matchAll(/(\d+)m([\d.]+)s/g);
  for (const [, minutes, seconds] of times) record.childCpuUs += (Number(minutes) * 60 + Number(seconds)) * 1e6;
}

for (const [name, { from, to, command }] of Object.entries(STEPS)) {
  for (const build of BUILDS) {
    exports[`${name}_${build}`] = step(name, build, async (objects, { chain, key }) => {
      const folder = mkdtempSync(path.join(tmpdir(), 'compile-'));
      try {
        writeFileSync(path.join(folder, from), await objects.get(key));
        run(command, folder, objects.record);
        const result = `${chain}-${to}`;
        await objects.put(result, readFileSync(path.join(folder, to)));
        return result;
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
}
