/** Functions that sleep and wake once in each invocation, for runtimes whose functions take more than a line. */
import { I32, I64, op, wasmModule } from '../../lib/wasm-module.ts';

const RESULT = '"went on"';
const RESULT_AT = 1024;
const PAYLOAD_AT = 4096;

function perch(name: string): { module: string; name: string; params: []; results: [] } {
  return { module: 'perch', name, params: [], results: [] };
}

/** Its handler is `handle`. */
export function hintingModule(): Buffer {
  return wasmModule({
    imports: [perch('sleeping'), perch('awake')],
    memory: { min: 1 },
    functions: [
      { params: [I32], results: [I32], body: op.i32(PAYLOAD_AT), export: 'alloc' },
      {
        params: [I32, I32],
        results: [I64],
        body: [op.call(0), op.call(1), op.i64((BigInt(RESULT_AT) << 32n) | BigInt(RESULT.length))],
        export: 'handle',
      },
      // Ahead of the invocation.
      { params: [], results: [], body: [op.call(0), op.call(1)], export: '_initialize' },
    ],
    data: [{ at: RESULT_AT, bytes: RESULT }],
  });
}

export const HINTING_BOOTSTRAP = `#!/usr/bin/python3
import os, urllib.request
place = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API']
def post(path, body=b''):
    with urllib.request.urlopen(urllib.request.Request(place + path, body, method='POST')) as reply:
        return reply.status
post('/perch/sleeping')
post('/perch/awake')
while True:
    with urllib.request.urlopen(place + '/2018-06-01/runtime/invocation/next') as reply:
        request_id = reply.headers['Lambda-Runtime-Aws-Request-Id']
    post('/perch/sleeping', b'for its own sake')
    post('/perch/awake')
    post('/2018-06-01/runtime/invocation/%s/response' % request_id, b'"went on"')
`;
