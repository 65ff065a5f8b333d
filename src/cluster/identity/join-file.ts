/**
 * The join file: everything that a node needs to be one of its cluster, in one file that is copied to it once. It is
 * the node's key too, so it is for its owner's eyes only, and what goes wrong with it is told without quoting it.
 */
import type { KeyObject } from 'node:crypto';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { Role, Subject } from './names.ts';
import { fingerprintOf, normalAddress, subjectOf } from './names.ts';
import { WITH_KEY, readSecretFile, writeSecretFile } from './secret-file.ts';

const VERSION = 1;
const DAY_MS = 86_400_000;
/** So long before a certificate ends its node begins to say so. */
const EXPIRES_SOON_MS = 30 * DAY_MS;

interface JoinFile {
  readonly version: number;
  readonly cluster: string;
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
  /** HOST:PORT, where the cluster's authority knows it. */
  readonly scheduler?: string;
  readonly store?: string;
}

/** Where the nodes are that every other one needs, as HOST:PORT; absent: whoever starts a node says so. */
export type Whereabouts = Pick<JoinFile, 'scheduler' | 'store'>;

/** A node's own identity. The key is in none of its fields, so that no log line or dump that holds one holds a key. */
export class Identity {
  readonly cluster: string;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly addresses: readonly string[];
  readonly fingerprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly whereabouts: Whereabouts;
  readonly authorityPem: string;
  readonly certificatePem: string;
  readonly #keyPem: string;

  constructor(
    subject: Subject,
    whereabouts: Whereabouts,
    { authority, certificate, key }: { authority: X509Certificate; certificate: X509Certificate; key: KeyObject },
  ) {
    this.cluster = subject.cluster;
    this.name = subject.name;
    this.roles = subject.roles;
    this.addresses = subject.addresses;
    this.fingerprint = fingerprintOf(certificate);
    this.notBeforeMs = certificate.validFromDate.getTime();
    this.notAfterMs = certificate.validToDate.getTime();
    this.whereabouts = whereabouts;
    // Written anew: whatever else stood in the file beside the one certificate that was checked is not trusted.
    this.authorityPem = authority.toString();
    this.certificatePem = certificate.toString();
    this.#keyPem = key.export({ type: 'pkcs8', format: 'pem' }) as string;
  }

  /** For node:tls, and nothing else. */
  secretKeyPem(): string {
    return this.#keyPem;
  }

  /** Nodes that dial it by this address take it for who it is. */
  answersAt(host: string): boolean {
    return this.addresses.length === 0 || this.addresses.includes(normalAddress(host));
  }

  /** Null while it is long until the certificate ends. */
  expiryWarning(nowMs: number): string | null {
    const leftMs = this.notAfterMs - nowMs;
    if (leftMs > EXPIRES_SOON_MS) return null;
    const days = Math.max(0, Math.floor(leftMs / DAY_MS));
    return `The certificate of ${this.name} ends in ${days} days, at ${dateOf(this.notAfterMs)}: ${renewHint(this.name)}.`;
  }
}

/** Of whatever has them among other things. */
export function whereaboutsOf({ scheduler, store }: Whereabouts): Whereabouts {
  return { ...(scheduler !== undefined && { scheduler }), ...(store !== undefined && { store }) };
}

export function writeJoinFile(
  path: string,
  cluster: string,
  parts: Omit<JoinFile, 'version' | 'cluster'>,
): string | null {
  const { authority, certificate, key } = parts;
  const file: JoinFile = { version: VERSION, cluster, ...whereaboutsOf(parts), authority, certificate, key };
  return writeSecretFile(path, JSON.stringify(file, null, 2) + '\n');
}

/** The identity, or what is wrong with the file and how to mend it. */
export function readJoinFile(path: string, nowMs: number): Identity | string {
  const identity = readAnyJoinFile(path);
  if (typeof identity === 'string') return identity;
  if (nowMs >= identity.notAfterMs) {
    return `${path} has expired: it was valid until ${dateOf(identity.notAfterMs)}. ${capital(renewHint(identity.name))}.`;
  }
  if (nowMs < identity.notBeforeMs) {
    return (
      `${path} is not yet valid: it is from ${dateOf(identity.notBeforeMs)} on, and the clock of this machine says ` +
      `${dateOf(nowMs)}. Set the clock.`
    );
  }
  return identity;
}

/** As readJoinFile, whatever the time: for who wants to look at a file, or revoke it. */
export function readAnyJoinFile(path: string): Identity | string {
  const read = readSecretFile(path, WITH_KEY);
  if (read.text === null) return read.message;
  const file = parse(read.text);
  if (file === null) return `${path} is no join file: it has to be one that 'perch cluster add' made.`;
  if (file.version !== VERSION) {
    return `${path} is a join file of version ${file.version}; this Perch reads version ${VERSION}.`;
  }
  return identityOf(path, file);
}

function parse(text: string): JoinFile | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null; // the parser's message would quote the file
  }
  if (typeof value !== 'object' || value === null) return null;
  const {
    version,
    cluster,
    authority,
    certificate,
    key,
    scheduler = '',
    store = '',
  } = value as Record<string, unknown>;
  if (!Number.isSafeInteger(version)) return null;
  const texts = [cluster, authority, certificate, key, scheduler, store];
  return texts.every((each) => typeof each === 'string') ? (value as JoinFile) : null;
}

function identityOf(path: string, file: JoinFile): Identity | string {
  let authority: X509Certificate;
  let certificate: X509Certificate;
  let key: KeyObject;
  try {
    authority = new X509Certificate(file.authority);
    certificate = new X509Certificate(file.certificate);
    key = createPrivateKey(file.key);
  } catch {
    return damaged(path, 'a certificate or the key in it cannot be read');
  }
  if (!authority.ca || !certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) {
    return damaged(path, 'its certificate is not from the authority in it');
  }
  if (!certificate.checkPrivateKey(key)) return damaged(path, 'its key does not belong to its certificate');
  const subject = subjectOf(certificate);
  if (subject === null) return damaged(path, 'its certificate names no node and role');
  if (subject.cluster !== file.cluster) {
    return `${path} mixes two clusters: it says '${file.cluster}', its certificate '${subject.cluster}'. Make it anew with 'perch cluster add'.`;
  }
  return new Identity(subject, whereaboutsOf(file), { authority, certificate, key });
}

function damaged(path: string, how: string): string {
  return `${path} is damaged: ${how}. Copy it again, or make it anew with 'perch cluster add'.`;
}

function renewHint(name: string): string {
  return `make a new one with 'perch cluster add ${name} --renew' where the authority is`;
}

/** To the second, in UTC. */
export function dateOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
