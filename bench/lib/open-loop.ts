/**
 * An open-loop HTTP client: sends at fixed moments whatever became of earlier requests, and measures each from the
 * moment at which it was to be sent. A closed loop would send less while the server is slow, and so hide its tail.
 *
 * Runs as a process of its own: `node open-loop.ts URL RATE SECONDS WARM-UP-SECONDS`, and prints one JSON line.
 */
import http from 'node:http';

export interface OpenLoopResult {
  readonly count: number;
  readonly failed: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
}

const CONNECTIONS_MAX = 64;

/** A timer of Node is late by up to this much; the rest of the way to a due moment is spent turning. */
const TIMER_MS = 1.5;

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

interface Load {
  readonly rate: number;
  readonly seconds: number;
  /** Sent before, and not counted. */
  readonly warmUpSeconds: number;
}

async function run(url: string, { rate, seconds, warmUpSeconds }: Load): Promise<OpenLoopResult> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX });
  const intervalMs = 1000 / rate;
  const startMs = performance.now();
  const countedFromMs = startMs + warmUpSeconds * 1000;
  const endMs = countedFromMs + seconds * 1000;
  const latenciesUs: number[] = [];
  let failed = 0;
  let running = 0;
  let ended = false;
  await new Promise<void>((resolve) => {
    const send = (dueMs: number): void => {
      running++;
      const done = (ok: boolean): void => {
        running--;
        if (!ok) failed++;
        else if (dueMs >= countedFromMs) latenciesUs.push((performance.now() - dueMs) * 1000);
        if (running === 0 && ended) resolve();
      };
      const request = http.request(url, { method: 'POST', agent }, (response) => {
        response.resume();
        response.on('end', () =>
          done(response.statusCode === 200 && response.headers['x-amz-function-error'] === undefined),
        );
      });
      request.on('error', () => done(false));
      request.end('{}');
    };
    const sendNext = (dueMs: number): void => {
      if (dueMs >= endMs) {
        ended = true;
        if (running === 0) resolve();
        return;
      }
      setTimeout(
        () => {
          while (performance.now() < dueMs);
          send(dueMs);
          sendNext(dueMs + intervalMs);
        },
        Math.max(0, dueMs - performance.now() - TIMER_MS),
      );
    };
    sendNext(startMs + intervalMs);
  });
  agent.destroy();
  const sorted = Float64Array.from(latenciesUs).sort();
  return {
    count: sorted.length,
    failed,
    p50Us: percentile(sorted, 0.5),
    p99Us: percentile(sorted, 0.99),
    p999Us: percentile(sorted, 0.999),
  };
}

if (import.meta.main) {
  const [url, ...numbers] = process.argv.slice(2);
  const [rate, seconds, warmUpSeconds] = numbers.map(Number) as [number, number, number];
  console.log(JSON.stringify(await run(url!, { rate, seconds, warmUpSeconds })));
}
