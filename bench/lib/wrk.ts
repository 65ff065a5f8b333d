/** One run of wrk (the closed-loop HTTP load generator in C; Debian's package `wrk`) against a URL. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

export interface WrkLoad {
  readonly connections: number;
  readonly seconds: number;
  readonly body: string;
  /** The one CPU that wrk runs on; absent: any. */
  readonly cpu?: number;
}

export interface WrkResult {
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

const SCRIPT = (body: string): string => `
wrk.method = "POST"
wrk.body = ${JSON.stringify(body)}
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency)
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout))
end
`;

/** Throws where wrk is missing, or where any answer was not 2xx: a rate of errors is no result. */
export async function wrk(url: string, load: WrkLoad): Promise<WrkResult> {
  const folder = mkdtempSync(path.join(tmpdir(), 'perch-wrk-'));
  const script = path.join(folder, 'post.lua');
  writeFileSync(script, SCRIPT(load.body));
  try {
    const args = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '-s', script, url];
    const command = load.cpu === undefined ? ['wrk', ...args] : ['taskset', '-c', String(load.cpu), 'wrk', ...args];
    const { stdout } = await promisify(execFile)(command[0]!, command.slice(1));
    const match = /^RESULT (\d+) (\d+) (\d+) (\d+) (\d+)$/m.exec(stdout);
    if (match === null) throw new Error(`wrk printed no result: ${stdout}`);
    const [requests, durationUs, p50Us, p99Us, errors] = match.slice(1).map(Number) as [
      number,
      number,
      number,
      number,
      number,
    ];
    if (errors > 0) throw new Error(`${errors} of ${requests} requests to ${url} failed`);
    return { requestsPerSecond: (requests / durationUs) * 1e6, p50Us, p99Us };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new Error('wrk is not installed: apt-get install wrk', { cause: error });
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
