/** The store of a folder, served to other nodes as a gateway's process does it. */
import { join } from 'node:path';
import pino from 'pino';
import { realClock } from '../../src/base/clock.ts';
import type { Identity } from '../../src/cluster/identity/join-file.ts';
import { type Listener, openListener } from '../../src/cluster/node/listener.ts';
import { type EmbeddedStore, openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { EmbeddedStoreOptions } from '../../src/store/embedded/embedded-store.ts';
import { LogFiles } from '../../src/store/log-files.ts';
import { StoreService } from '../../src/store/remote/store-service.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';

export const ACCOUNT = '000000000000';
export const HOST = '127.0.0.1';
export const SILENT: pino.Logger = pino({ level: 'silent' });

export interface ServedStore {
  readonly store: EmbeddedStore;
  readonly logs: LogFiles;
  readonly service: StoreService;
  readonly listener: Listener;
  close(): Promise<void>;
}

export interface ServeOptions extends EmbeddedStoreOptions {
  readonly identity: Identity;
  readonly port?: number;
  readonly log?: pino.Logger;
  readonly metrics?: Metrics;
}

/** The store of a folder, with its logs, served at a port. */
export async function serveStore(folder: string, options: ServeOptions): Promise<ServedStore> {
  const { identity, port = 0, log = SILENT, metrics = new Metrics(), ...storeOptions } = options;
  const { clock = realClock } = storeOptions;
  const report = (): void => {};
  const store = await openEmbeddedStore(join(folder, 'data'), { report, ...storeOptions });
  const logs = new LogFiles(join(folder, 'data', 'logs'), { report });
  const service = new StoreService({ store, logs, accountId: ACCOUNT, clock, log, metrics });
  const listener = await openListener({
    identity,
    roles: ['worker', 'gateway'],
    revoked: () => new Set(),
    host: HOST,
    port,
    clock: realClock,
    log,
    http: (request, response, peer) => service.answer(request, response, peer),
  });
  const close = async (): Promise<void> => {
    await service.close();
    await listener.close();
    await store.close();
    await logs.close();
  };
  return { store, logs, service, listener, close };
}
