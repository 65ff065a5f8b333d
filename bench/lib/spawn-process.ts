/**
 * Starts processes for a benchmark, from a process of its own: one whose memory is small, as starting costs more the
 * more the parent has mapped. Reads one JSON array of commands a line, starts all of them at once, and answers the
 * microseconds from the first start to the first line of each, sorted, once all have ended.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

async function firstLineUs([file, ...args]: readonly string[], startMs: number): Promise<number> {
  const child = spawn(file!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let atUs = NaN;
  let text = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk: string) => {
    text += chunk;
    if (Number.isNaN(atUs) && text.includes('\n')) atUs = (performance.now() - startMs) * 1000;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0 || Number.isNaN(atUs)) throw new Error(`${file} ended with ${code} and printed '${text}'`);
  return atUs;
}

for await (const line of createInterface({ input: process.stdin })) {
  const startMs = performance.now();
  const times = await Promise.all((JSON.parse(line) as string[][]).map((command) => firstLineUs(command, startMs)));
  console.log(JSON.stringify(times.toSorted((a, b) => a - b)));
}
