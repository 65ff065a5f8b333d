/**
 * One round inside a process of its own, with the flags of the runtime: makes instances of a module and runs each of them
 * once, as the runtime does between reading a frame and writing the answer. Prints microseconds as JSON; see wasm.ts.
 */
import { createRequire } from 'node:module';

export interface WasmRound {
  readonly codeDir: string;
  readonly handler: string;
  readonly count: number;
}

export interface WasmTimes {
  readonly compileUs: number;
  readonly makeUs: readonly number[];
  readonly runUs: readonly number[];
}

const RUNTIME = '../../src/worker/runtimes/wasm/';

function round({ codeDir, handler, count }: WasmRound): WasmTimes {
  Object.assign(process.env, {
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128',
    PERCH_MEMORY_SHARE_MB: '48',
    PERCH_RESPONSE_BYTES_MAX: '6291556',
  });
  const require = createRequire(import.meta.url);
  const { functions } = require(`${RUNTIME}wasi.cjs`);
  const { loadModule } = require(`${RUNTIME}module.cjs`);
  const { Host } = require(`${RUNTIME}instance.cjs`);
  const nowUs = (): number => performance.now() * 1000;

  const startUs = nowUs();
  const loaded = loadModule(codeDir, handler, functions);
  const compileUs = nowUs() - startUs;
  const payload = Buffer.from('{}');
  const makeUs: number[] = [];
  const runUs: number[] = [];
  for (let index = 0; index < count; index++) {
    const beganUs = nowUs();
    const host = new Host(loaded);
    const madeUs = nowUs();
    host.run({ sequence: index, deadlineMs: 0, requestId: '', extra: null, payload });
    runUs.push(nowUs() - madeUs);
    makeUs.push(madeUs - beganUs);
  }
  return { compileUs, makeUs, runUs };
}

console.log(JSON.stringify(round(JSON.parse(process.argv[2]!) as WasmRound)));
