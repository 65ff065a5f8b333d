/**
 * Mutual TLS between the nodes of a cluster, for node:tls. Two questions are answered at two moments:
 *
 * - in the handshake, by OpenSSL: does the other side have a certificate of our authority, valid now, and its key?
 * - right after it, by `peerOf`: is it revoked, of this cluster, and for the role that is wanted here?
 *
 * Not before `peerOf` has answered may a byte of the other side be acted upon. In TLS 1.3 a client's handshake ends
 * before the server has judged the client, so a client that is refused sees a closed connection, not a reason; the
 * server's log has the reason.
 */
import { X509Certificate, constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { isIP } from 'node:net';
import type { ConnectionOptions, SecureContextOptions, Server, TLSSocket, TlsOptions } from 'node:tls';
import type { Clock } from '../../base/clock.ts';
import { LIMITS } from '../../base/limits.ts';
import { dateOf } from './join-file.ts';
import type { Identity } from './join-file.ts';
import type { Role, Subject } from './names.ts';
import { fingerprintOf, subjectOf } from './names.ts';
import { Refusal } from './refusal.ts';
import type { RefusalLog, RefusalReason } from './refusal.ts';
import { NONE_REVOKED } from './revoked.ts';

export interface Peer {
  readonly name: string;
  readonly roles: readonly Role[];
  readonly fingerprint: string;
}

export interface Expected {
  readonly identity: Identity;
  /** It has to have one of these. */
  readonly roles: readonly Role[];
  readonly revoked?: ReadonlySet<string>;
  readonly nowMs: number;
}

function contextOptions(identity: Identity): SecureContextOptions {
  return {
    ca: [identity.authorityPem],
    cert: identity.certificatePem,
    key: identity.secretKeyPem(),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // No tickets that outlive the process: connections last, and every handshake shall see the certificate anew.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/** For tls.createServer. */
export function serverOptions(identity: Identity, handshakeTimeoutMs: number = LIMITS.handshakeTimeoutMs): TlsOptions {
  return {
    ...contextOptions(identity),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: handshakeTimeoutMs,
  };
}

/**
 * For tls.connect, with `host` and `port` added. A server whose certificate lists addresses has to be dialled by one of
 * them; one whose certificate lists none is known by its role alone.
 */
export function clientOptions(identity: Identity): ConnectionOptions {
  return {
    ...contextOptions(identity),
    rejectUnauthorized: true,
    checkServerIdentity(host, { raw }) {
      const certificate = new X509Certificate(raw);
      const subject = subjectOf(certificate);
      if (subject === null) return refusalError(new Refusal('unfit'));
      if (subject.addresses.length === 0 || answersAt(certificate, host)) return undefined;
      const detail = `${subject.name} answers at ${subject.addresses.join(', ')}, not at ${host}`;
      return refusalError(new Refusal('wrong-address', detail));
    },
  };
}

function answersAt(certificate: X509Certificate, host: string): boolean {
  if (isIP(host) !== 0) return certificate.checkIP(host) !== undefined;
  return certificate.checkHost(host, { subject: 'never', wildcards: false }) !== undefined;
}

export interface Door {
  readonly identity: Identity;
  readonly roles: readonly Role[];
  readonly revoked: () => ReadonlySet<string>;
  readonly clock: Clock;
  readonly log: RefusalLog;
}

/** On a server made with `serverOptions`: calls `accepted` with who may be here; closes and logs everybody else. */
export function acceptPeers(server: Server, door: Door, accepted: (socket: TLSSocket, peer: Peer) => void): void {
  const refuse = (socket: TLSSocket, refusal: Refusal): void => {
    door.log.add(refusal, remoteOf(socket), door.clock.wallMs());
    // Node leaves one open whose handshake took too long.
    socket.destroy();
  };
  // A socket remembers its other end when it is asked in time: those with a bad certificate Node destroys before it tells us.
  server.on('connection', (raw) => void raw.remoteAddress);
  server.on('tlsClientError', (error, socket) => refuse(socket, refusalOf(error, socket)));
  server.on('secureConnection', (socket) => {
    const { identity, roles } = door;
    const peer = peerOf(socket, { identity, roles, revoked: door.revoked(), nowMs: door.clock.wallMs() });
    if (!(peer instanceof Refusal)) return accepted(socket, peer);
    // Without a listener a connection that breaks now would end the process.
    socket.on('error', () => undefined);
    refuse(socket, peer);
  });
}

/** The TCP socket below it is not in Node's documentation; without it some lines of the log would not say who it was. */
function remoteOf(socket: TLSSocket): string {
  const { _parent: below } = socket as TLSSocket & { _parent?: Socket };
  return socket.remoteAddress ?? below?.remoteAddress ?? 'unknown';
}

class RefusalError extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

function refusalError(refusal: Refusal): RefusalError {
  return new RefusalError(refusal);
}

/**
 * On the client's side Node hands this certificate out once: OpenSSL's copy is gone after it (seen with Node 24.21).
 * So it is kept, and nobody else may ask a socket for it before.
 */
const certificates = new WeakMap<TLSSocket, X509Certificate>();

function certificateOf(socket: TLSSocket): X509Certificate | undefined {
  const known = certificates.get(socket);
  if (known !== undefined) return known;
  const certificate = socket.getPeerX509Certificate();
  if (certificate !== undefined) certificates.set(socket, certificate);
  return certificate;
}

/** Who is at the other end of a connection whose handshake is done. Whoever gets a refusal closes the connection. */
export function peerOf(socket: TLSSocket, expected: Expected): Peer | Refusal {
  const certificate = certificateOf(socket);
  if (certificate === undefined) return new Refusal('no-certificate');
  if (!socket.authorized) return new Refusal('other-authority', String(socket.authorizationError ?? ''));
  return judge(certificate, expected);
}

/** The certificate is one of our authority's: that it is was checked before. */
function judge(certificate: X509Certificate, expected: Expected): Peer | Refusal {
  const { identity, roles, revoked = NONE_REVOKED, nowMs } = expected;
  const subject = subjectOf(certificate);
  if (subject === null) return new Refusal('unfit');
  const { cluster, name } = subject;
  if (cluster !== identity.cluster) return new Refusal('other-cluster', `${name} of ${cluster}`);
  const fingerprint = fingerprintOf(certificate);
  if (revoked.has(fingerprint)) return new Refusal('revoked', `${name}, ${fingerprint}`);
  const late = outOfDate(certificate, subject, nowMs);
  if (late !== null) return late;
  if (!subject.roles.some((role) => roles.includes(role))) {
    return new Refusal('wrong-role', `${name} is ${subject.roles.join(', ')}, wanted is ${roles.join(' or ')}`);
  }
  return { name, roles: subject.roles, fingerprint };
}

function outOfDate(certificate: X509Certificate, { name }: Subject, nowMs: number): Refusal | null {
  const [fromMs, toMs] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
  if (nowMs >= toMs) return new Refusal('expired', `${name}, at ${dateOf(toMs)}`);
  return nowMs < fromMs ? new Refusal('not-yet-valid', `${name}, before ${dateOf(fromMs)}`) : null;
}

/** What OpenSSL and Node call it. */
const REASON_OF_CODE: Readonly<Record<string, RefusalReason>> = {
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'no-certificate',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'no-certificate',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'other-authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'other-authority',
  UNABLE_TO_GET_ISSUER_CERT: 'other-authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'other-authority',
  CERT_SIGNATURE_FAILURE: 'other-authority',
  INVALID_CA: 'other-authority',
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not-yet-valid',
  INVALID_PURPOSE: 'unfit',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'silent',
  ECONNRESET: 'closed-early',
  EPIPE: 'closed-early',
};

/** Of an error before the handshake was done: `tlsClientError` of a server, `error` of a client. */
export function refusalOf(error: Error, socket: TLSSocket): Refusal {
  if (error instanceof RefusalError) return error.refusal;
  const { code = '' } = error as NodeJS.ErrnoException;
  // What was wrong with a client's certificate a server's socket knows, and its error does not.
  const authorization = socket.authorizationError as unknown;
  const verified =
    typeof authorization === 'string' ? authorization : ((authorization as NodeJS.ErrnoException)?.code ?? '');
  if (verified !== '') return new Refusal(REASON_OF_CODE[verified] ?? 'unfit', verified);
  const reason = REASON_OF_CODE[code];
  return reason === undefined ? new Refusal('not-tls', code) : new Refusal(reason);
}
