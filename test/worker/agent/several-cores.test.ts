/**
 * Functions of several cores in real sandboxes: what an invocation sees are the CPUs of its lease, whatever its instance had
 * before, and its threads run on them.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Isolation } from '../../../src/store/settings.ts';
import { parseCpuList, readTopology } from '../../../src/worker/agent/topology.ts';
import { noBubblewrap } from '../sandbox/harness.ts';
import { RealAgent } from './real-agent.ts';

const topology = readTopology(null);
assert.ok(!(topology instanceof Error));
const { cores } = topology;
const oneCore = (!topology.known || cores.length < 2) && 'NEEDS 2 CORES: this machine has one';
const skip = noBubblewrap || oneCore;
if (skip !== false) process.stderr.write(`SKIPPED: ${skip}\n`);
const noPython = existsSync('/usr/bin/python3') ? false : 'NOT TESTED: python3 is missing (apt-get install python3)';
const noCurl = existsSync('/usr/bin/curl') ? false : 'NOT TESTED: curl is missing (apt-get install curl)';

const BOTH = { core: 0, mask: 0b11 };
/** In this order: one core after two, two after one, another one. */
const LEASES = [BOTH, { core: 0 }, BOTH, { core: 1, mask: 0 }, { core: 0 }, BOTH] as const;

function cpusOf({ core, mask = 0 }: { readonly core: number; readonly mask?: number }): number[] {
  const held = mask === 0 ? [cores[core]!] : cores.filter((_, index) => ((mask >>> index) & 1) === 1);
  return held.flat().sort((a, b) => a - b);
}

const NODE = `
import os from 'node:os';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

const allowed = () => /^Cpus_allowed_list:\\s*(\\S+)$/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))[1];
const SPIN = \`
  const { parentPort, workerData } = require('node:worker_threads');
  const { readFileSync } = require('node:fs');
  let sum = 0;
  for (let at = 0; at < workerData; at++) sum = (sum * 31 + at) | 0;
  const status = readFileSync('/proc/thread-self/status', 'utf8');
  parentPort.postMessage({ sum, allowed: /^Cpus_allowed_list:\\\\s*(\\\\S+)$/m.exec(status)[1] });
\`;
const spin = (work) => new Promise((resolve, reject) => {
  const worker = new Worker(SPIN, { eval: true, workerData: work });
  worker.once('message', resolve);
  worker.once('error', reject);
});

export const handler = async ({ threads, work }) => {
  const seen = { parallelism: os.availableParallelism(), allowed: allowed() };
  const beganMs = performance.now();
  const before = process.cpuUsage();
  const spun = await Promise.all(Array.from({ length: threads }, () => spin(work)));
  const { user, system } = process.cpuUsage(before);
  return { ...seen, threads: spun.map((each) => each.allowed), cpuMs: (user + system) / 1000, wallMs: performance.now() - beganMs };
};
`;

interface NodeAnswer {
  readonly parallelism: number;
  readonly allowed: string;
  readonly threads: readonly string[];
  readonly cpuMs: number;
  readonly wallMs: number;
}

const PYTHON = `
import os

def handler(event, context):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, repr(sorted(os.sched_getaffinity(0))).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return {"count": len(os.sched_getaffinity(0)), "child": os.read(read, 4096).decode()}
`;

const BOOTSTRAP = `#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while :; do
  curl -sS -D /tmp/headers "$api/next" >/dev/null
  id=$(grep -i aws-request-id /tmp/headers | tr -d '\\r' | cut -d: -f2 | tr -d ' ')
  curl -sS -X POST "$api/$id/response" -d "{\\"nproc\\":$(nproc)}" >/dev/null
done
`;

describe('functions of several cores see all of them', { skip, concurrency: false }, () => {
  const real = new RealAgent(topology, 'bubblewrap');

  before(() => real.open());
  after(() => real.close());

  for (const isolation of ['process', 'reuse', 'fresh'] satisfies Isolation[]) {
    test(`Node.js, ${isolation}: os.availableParallelism(), the kernel, and the threads that it makes`, async () => {
      const files = { 'index.mjs': NODE };
      const version = await real.deploy({ runtime: 'nodejs24.x', handler: 'index.handler', files, isolation });
      for (const [index, lease] of LEASES.entries()) {
        // By the last one what rests is frozen.
        if (index === LEASES.length - 1) await setTimeout(100);
        const { answer, record, sequence } = await real.invoke(version, lease, { threads: 2, work: 1000 });
        const { parallelism, allowed, threads } = answer as NodeAnswer;
        const expected = cpusOf(lease);
        assert.equal(parallelism, expected.length);
        for (const seen of [allowed, ...threads]) assert.deepEqual(parseCpuList(seen), expected);
        assert.deepEqual([record.core, record.coreCount], [lease.core, lease === BOTH ? 2 : 1]);
        const releases = real.released.filter((each) => each.sequence === sequence);
        assert.deepEqual(
          releases.map(({ core }) => core),
          [lease.core],
        );
      }
    });
  }

  test('the threads of one invocation compute wherever its lease has cores', async (t) => {
    const files = { 'index.mjs': NODE };
    const version = await real.deploy({ runtime: 'nodejs24.x', handler: 'index.handler', files });
    for (const lease of [BOTH, { core: 0 }]) {
      const { answer } = await real.invoke(version, lease, { threads: 2, work: 5e7 });
      const { cpuMs, wallMs, threads } = answer as NodeAnswer;
      for (const seen of threads) assert.deepEqual(parseCpuList(seen), cpusOf(lease));
      // Shown and not judged: others may use this machine.
      const ratio = (cpuMs / wallMs).toFixed(2);
      t.diagnostic(
        `CPUs ${cpusOf(lease).join(',')}: ${cpuMs.toFixed(0)} ms of CPU in ${wallMs.toFixed(0)} ms: ${ratio}`,
      );
    }
  });

  for (const isolation of ['process', 'reuse'] satisfies Isolation[]) {
    test(`Python, ${isolation}: os.sched_getaffinity, and that of a child`, { skip: noPython }, async () => {
      const files = { 'index.py': PYTHON };
      const version = await real.deploy({ runtime: 'python3.12', handler: 'index.handler', files, isolation });
      for (const lease of LEASES) {
        const { answer } = await real.invoke(version, lease, {});
        const expected = cpusOf(lease);
        assert.deepEqual(answer, { count: expected.length, child: `[${expected.join(', ')}]` });
      }
    });
  }

  test('a bootstrap of its own: nproc', { skip: noCurl }, async () => {
    const files = { bootstrap: BOOTSTRAP };
    const version = await real.deploy({ runtime: 'provided.al2023', handler: 'none', files });
    for (const lease of LEASES) {
      const { answer } = await real.invoke(version, lease, {});
      assert.deepEqual(answer, { nproc: cpusOf(lease).length });
    }
  });
});
