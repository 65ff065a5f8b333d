/** How the shards of `perch scheduler` listen: mutual TLS, each on the same port. What a thread needs for it goes through its worker data. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { realClock } from '../../../base/clock.ts';
import { Identity } from '../../../cluster/identity/join-file.ts';
import { subjectOf } from '../../../cluster/identity/names.ts';
import type { Listener } from '../../../cluster/node/listener.ts';
import { createLog, type LogLevel } from '../../../telemetry/log.ts';
import { listen } from '../listen.ts';
import type { ShardDoor } from './shard-host.ts';

export interface TlsDoor {
  readonly authorityPem: string;
  readonly certificatePem: string;
  /** For node:tls, and nothing else. */
  readonly secretKeyPem: string;
  readonly revoked: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly logLevel: string;
}

export function tlsDoor(identity: Identity, setting: Pick<TlsDoor, 'host' | 'port' | 'revoked' | 'logLevel'>): TlsDoor {
  const { authorityPem, certificatePem } = identity;
  return { ...setting, authorityPem, certificatePem, secretKeyPem: identity.secretKeyPem() };
}

/** In the thread. */
export function openTlsDoor(door: TlsDoor): ShardDoor {
  const { host, port } = door;
  const log = createLog(door.logLevel as LogLevel);
  const identity = identityOf(door);
  let revoked: ReadonlySet<string> = new Set(door.revoked);
  let listener: Listener | null = null;
  return {
    log,
    listen: async (server, answers) => {
      const setting = { identity, revoked: () => revoked, host, port, reusePort: true, clock: realClock, log };
      listener = await listen(setting, { accept: (socket, peer) => server.accept(socket, peer), answers });
      return listener;
    },
    revoke: (fingerprints) => {
      revoked = new Set(fingerprints);
      listener?.dismiss(revoked);
    },
  };
}

/** What the join file said was checked where it was read. */
function identityOf({ authorityPem, certificatePem, secretKeyPem }: TlsDoor): Identity {
  const certificate = new X509Certificate(certificatePem);
  const authority = new X509Certificate(authorityPem);
  return new Identity(subjectOf(certificate)!, {}, { authority, certificate, key: createPrivateKey(secretKeyPem) });
}
