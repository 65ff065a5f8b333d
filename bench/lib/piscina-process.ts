/**
 * A server that runs a function in worker threads of piscina, as many as there are cores. Each path has a pool of its
 * own, made by the first request to it, as a new function has no instance before its first invocation. `node
 * piscina-process.ts FILE`: the worker's file. Prints its port.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';

const pools = new Map<string, Piscina>();

function poolOf(where: string): Piscina {
  const maxThreads = availableParallelism();
  const options = { filename: process.argv[2]!, minThreads: 0, maxThreads, idleTimeout: 10_000, maxQueue: Infinity };
  const pool = pools.get(where) ?? new Piscina(options);
  pools.set(where, pool);
  return pool;
}

const server = createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8');
  request.on('data', (chunk: string) => (text += chunk));
  request.on('end', () => {
    poolOf(request.url!)
      .run(JSON.parse(text))
      .then((result: unknown) => response.end(JSON.stringify(result)))
      .catch((error: unknown) => {
        response.statusCode = 500;
        response.end(String(error));
      });
  });
});
server.listen(0, '127.0.0.1', 4096, () => console.log((server.address() as AddressInfo).port));
