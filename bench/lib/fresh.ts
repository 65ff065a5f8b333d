/**
 * Runs a file in a process of its own and answers the JSON that it prints: what one configuration taught the compiler
 * must not colour the next.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export async function runFresh<Input, Output>(
  file: URL,
  input: Input,
  nodeFlags: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Output> {
  const args = [...nodeFlags, file.pathname, JSON.stringify(input)];
  const { stdout } = await run(process.execPath, args, {
    maxBuffer: 16 * 1024 * 1024,
    env: { ...process.env, ...env },
  });
  return JSON.parse(stdout) as Output;
}
