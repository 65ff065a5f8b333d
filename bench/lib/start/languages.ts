/** The functions that are measured, in each language that has zygotes, and how the same code runs without a platform. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { nodeRuntime } from '../../../src/worker/runtimes/node/runtime.ts';
import { pythonRuntimes } from '../../../src/worker/runtimes/python/runtime.ts';
import type { Runtime } from '../../../src/worker/runtimes/runtime.ts';

export interface Language {
  readonly name: 'node' | 'python';
  /** Lambda's name of the runtime. */
  readonly runtime: string;
  /** That of the platform, as its metrics say it. */
  readonly label: string;
  /** The file that the handler `index.handler` is in. */
  readonly file: string;
  readonly hello: string;
  /** A module of that many bytes, no two of different seeds alike: what one left in a cache is no use to the next. */
  module(bytes: number, seed: number): string;
  /** The interpreter with the flags that instances run under, and with none. */
  readonly commands: Readonly<Record<'with the flags of instances' | 'without flags', readonly string[]>>;
  /** Lays a program into the folder that loads the module beside it, calls its handler and prints one line; returns its path. */
  layRunner(folder: string): string;
}

const HELLO_JS = 'export const handler = async () => ({ ok: true });\n';
const RUNNER_JS = `const { handler } = await import('./index.mjs');
process.stdout.write(JSON.stringify(await handler({})) + '\\n');
`;
const HELLO_PY = 'def handler(event, context):\n    return {"ok": True}\n';
const RUNNER_PY = `import json, os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import index
print(json.dumps(index.handler({}, None)), flush=True)
`;

/** As bundles are: many functions, entered into a table when the module is loaded, few of them ever called. */
function moduleOf(parts: { head: string; part: (index: number, seed: number) => string; tail: string }) {
  return (bytes: number, seed: number): string => {
    const chunks = [parts.head];
    let length = parts.head.length + parts.tail.length;
    for (let index = 0; length < bytes; index++) {
      const chunk = parts.part(index, seed);
      chunks.push(chunk);
      length += chunk.length;
    }
    return chunks.join('') + parts.tail;
  };
}

const moduleJs = moduleOf({
  head: 'const table = new Map();\n',
  part: (index, seed) => `function part${index}(input) {
  const found = { name: 'part ${index} of ${seed}', total: ${index * 31 + seed} };
  for (const [key, value] of Object.entries(input ?? {})) {
    if (typeof value === 'number' && value > ${index % 97}) found.total += value * ${(index % 13) + 1};
    else if (key.startsWith('k${index % 7}')) found[key] = String(value).trim().toLowerCase();
  }
  return found;
}
table.set('part${index}', part${index});
`,
  tail: "export const handler = async (event) => ({ ok: table.get('part0')(event).total !== 0 });\n",
});

const modulePy = moduleOf({
  head: 'table = {}\n',
  part: (index, seed) => `def part${index}(given):
    found = {"name": "part ${index} of ${seed}", "total": ${index * 31 + seed}}
    for key, value in (given or {}).items():
        if isinstance(value, int) and value > ${index % 97}:
            found["total"] += value * ${(index % 13) + 1}
        elif key.startswith("k${index % 7}"):
            found[key] = str(value).strip().lower()
    return found
table["part${index}"] = part${index}
`,
  tail: 'def handler(event, context):\n    return {"ok": table["part0"](event)["total"] != 0}\n',
});

/** Without the file of the runtime itself, which comes last. */
function flagsOf(runtime: Runtime): readonly string[] {
  return runtime.cellArgs()!.slice(0, -1);
}

function layRunner(name: string, source: string): (folder: string) => string {
  return (folder) => {
    const file = path.join(folder, name);
    writeFileSync(file, source);
    return file;
  };
}

export const NODE: Language = {
  name: 'node',
  runtime: nodeRuntime.names[0]!,
  label: nodeRuntime.label,
  file: 'index.mjs',
  hello: HELLO_JS,
  module: moduleJs,
  commands: {
    'with the flags of instances': [nodeRuntime.interpreter(), ...flagsOf(nodeRuntime)],
    'without flags': [nodeRuntime.interpreter()],
  },
  layRunner: layRunner('run.mjs', RUNNER_JS),
};

const python = pythonRuntimes[0]!;

export const PYTHON: Language = {
  name: 'python',
  runtime: python.names[0]!,
  label: python.label,
  file: 'index.py',
  hello: HELLO_PY,
  module: modulePy,
  commands: {
    'with the flags of instances': [python.interpreter(), ...flagsOf(python)],
    'without flags': [python.interpreter()],
  },
  layRunner: layRunner('run.py', RUNNER_PY),
};
