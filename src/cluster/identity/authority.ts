/**
 * The folder of a cluster's certificate authority: what `perch cluster` keeps, on the one machine that adds nodes.
 * No node needs it, and it need not be on any.
 *
 *   ca.crt    the authority's certificate; its URI names the cluster
 *   ca.key    its key: whoever has it can make nodes of the cluster
 *   where     where scheduler and store are, for the join files: 'scheduler HOST:PORT', 'store HOST:PORT'; to be edited
 *   issued    a line for each certificate made: fingerprint, name, roles, end
 *   revoked   a line for each one taken back: fingerprint, then a remark; absent until there is one
 */
import { X509Certificate, createPrivateKey, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Certified } from './certificates.ts';
import { dateOf, readAnyJoinFile, type Whereabouts, writeJoinFile } from './join-file.ts';
import type { Role } from './names.ts';
import { fingerprintOf, isAddress, isCluster, isClusterName, isNodeName, ROLES } from './names.ts';
import { NONE_REVOKED, parseFingerprint, readRevoked } from './revoked.ts';
import { WITH_KEY, WITHOUT_KEY, appendLine, codeOf, readSecretFile, writeSecretFile } from './secret-file.ts';

const DAY_MS = 86_400_000;
const HOST_AND_PORT = /^\S+:\d{1,5}$/;
export const NODE_DAYS_DEFAULT = 365;

/** Why something was not done. Nothing has changed then. */
export class Problem {
  readonly kind: 'wrong value' | 'absent' | 'refused';
  readonly message: string;

  constructor(kind: Problem['kind'], message: string) {
    this.kind = kind;
    this.message = message;
  }
}

/** The key is in none of its fields: see Identity. */
export class Authority {
  readonly folder: string;
  readonly cluster: string;
  readonly certificatePem: string;
  readonly fingerprint: string;
  readonly notAfterMs: number;
  readonly whereabouts: Whereabouts;
  readonly #keyPem: string;

  constructor(
    folder: string,
    said: { readonly cluster: string; readonly whereabouts: Whereabouts },
    { certificate, keyPem }: { readonly certificate: X509Certificate; readonly keyPem: string },
  ) {
    this.folder = folder;
    this.cluster = said.cluster;
    this.whereabouts = said.whereabouts;
    this.certificatePem = certificate.toString();
    this.fingerprint = fingerprintOf(certificate);
    this.notAfterMs = certificate.validToDate.getTime();
    this.#keyPem = keyPem;
  }

  certified(): Certified {
    return { certificatePem: this.certificatePem, keyPem: this.#keyPem };
  }
}

export interface Issued {
  readonly fingerprint: string;
  readonly name: string;
  readonly roles: string;
  readonly notAfterMs: number;
  readonly revoked: boolean;
}

const fileIn = (folder: string) => ({
  certificate: join(folder, 'ca.crt'),
  key: join(folder, 'ca.key'),
  where: join(folder, 'where'),
  issued: join(folder, 'issued'),
  revoked: join(folder, 'revoked'),
});

export async function initAuthority(
  folder: string,
  name: string,
  nowMs: number,
  whereabouts: Whereabouts = {},
): Promise<Authority | Problem> {
  if (!isClusterName(name)) {
    return new Problem(
      'wrong value',
      `'${name}' is no name of a cluster: it has 1 to 31 of a-z, 0-9 and -, begins with a letter and does not end with -.`,
    );
  }
  const files = fileIn(folder);
  if (existsSync(files.key) || existsSync(files.certificate)) {
    return new Problem(
      'refused',
      `${folder} holds an authority already, and is not overwritten: choose another folder with --folder.`,
    );
  }
  const { makeAuthority } = await import('./certificates.ts');
  const made = await makeAuthority(`${name}-${randomBytes(6).toString('hex')}`, nowMs);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    return new Problem('refused', `${folder} cannot be made: ${codeOf(error)}.`);
  }
  // The key comes first: of two that do this at once, one finds it there.
  const keyMessage = writeSecretFile(files.key, made.keyPem);
  if (keyMessage !== null) return new Problem('refused', keyMessage);
  const lines = Object.entries(whereabouts).map(([who, address]) => `${who} ${address}\n`);
  const message =
    writeSecretFile(files.certificate, made.certificatePem) ??
    writeSecretFile(files.issued, '') ??
    writeSecretFile(files.where, lines.join(''));
  if (message !== null) {
    rmSync(files.key, { force: true });
    rmSync(files.certificate, { force: true });
    return new Problem('refused', message);
  }
  return openAuthority(folder);
}

export function openAuthority(folder: string): Authority | Problem {
  const files = fileIn(folder);
  const key = readSecretFile(files.key, WITH_KEY);
  if (key.text === null && key.absent) {
    return new Problem(
      'absent',
      `There is no authority in ${folder}: make one with 'perch cluster init', or say where with --folder.`,
    );
  }
  const certificate = readSecretFile(files.certificate, WITHOUT_KEY);
  if (key.text === null) return new Problem('refused', key.message);
  if (certificate.text === null) return new Problem('refused', certificate.message);
  const whereabouts = readWhereabouts(files.where);
  if (whereabouts instanceof Problem) return whereabouts;
  try {
    const parsed = new X509Certificate(certificate.text);
    const cluster = /^URI:perch:\/\/([^,/]+)$/.exec(parsed.subjectAltName ?? '')?.[1] ?? '';
    if (parsed.ca && isCluster(cluster) && parsed.checkPrivateKey(createPrivateKey(key.text))) {
      return new Authority(folder, { cluster, whereabouts }, { certificate: parsed, keyPem: key.text });
    }
  } catch {
    // Said below; the message of the parser may quote what it parsed.
  }
  return new Problem(
    'refused',
    `${folder} is damaged: ca.crt and ca.key are not an authority of a cluster and its key.`,
  );
}

function readWhereabouts(path: string): Whereabouts | Problem {
  const read = readSecretFile(path, WITHOUT_KEY);
  if (read.text === null) return read.absent ? {} : new Problem('refused', read.message);
  const found: { scheduler?: string; store?: string } = {};
  for (const [index, line] of read.text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const [who, address = '', ...rest] = line.trim().split(/\s+/);
    if ((who !== 'scheduler' && who !== 'store') || !HOST_AND_PORT.test(address) || rest.length > 0)
      return new Problem(
        'refused',
        `${path}, line ${index + 1}: it has to be 'scheduler HOST:PORT' or 'store HOST:PORT'.`,
      );
    found[who] = address;
  }
  return found;
}

export interface NewNode {
  readonly name: string;
  readonly roles: readonly Role[];
  readonly addresses: readonly string[];
  /** Undefined: a year, or until the authority ends. */
  readonly days: number | undefined;
  /** Although a certificate of that name is in use. */
  readonly renew: boolean;
  /** Where the join file goes. */
  readonly out: string;
}

export interface Added {
  readonly fingerprint: string;
  readonly notAfterMs: number;
}

export async function addNode(authority: Authority, node: NewNode, nowMs: number): Promise<Added | Problem> {
  const notAfterMs = endOf(authority, node.days, nowMs);
  const problem = wrongValueOf(node) ?? (typeof notAfterMs === 'number' ? null : notAfterMs);
  if (problem !== null || typeof notAfterMs !== 'number') return problem as Problem;
  const all = listIssued(authority);
  if (all instanceof Problem) return all;
  const before = all.find((each) => each.name === node.name && !each.revoked && each.notAfterMs > nowMs);
  if (before !== undefined && !node.renew) {
    return new Problem(
      'refused',
      `There is a node ${node.name} already, until ${dateOf(before.notAfterMs)}: choose another name, ` +
        `or make a new file for the same node with --renew.`,
    );
  }
  if (existsSync(node.out)) return new Problem('refused', `${node.out} is there already, and is not overwritten.`);

  const { SKEW_MS, makeCertificate } = await import('./certificates.ts');
  const made = await makeCertificate(authority.certified(), {
    cluster: authority.cluster,
    name: node.name,
    roles: node.roles,
    addresses: node.addresses,
    notBeforeMs: nowMs - SKEW_MS,
    notAfterMs,
  });
  const certificate = new X509Certificate(made.certificatePem);
  const fingerprint = fingerprintOf(certificate);
  // Noted first: a certificate that nobody has harms nobody, one that nobody has noted cannot be revoked by name.
  const line = [fingerprint, node.name, node.roles.join(','), dateOf(notAfterMs)].join(' ');
  const message =
    appendLine(fileIn(authority.folder).issued, line) ??
    writeJoinFile(node.out, authority.cluster, {
      authority: authority.certificatePem,
      certificate: made.certificatePem,
      key: made.keyPem,
      ...authority.whereabouts,
    });
  if (message !== null) return new Problem('refused', message);
  return { fingerprint, notAfterMs: certificate.validToDate.getTime() };
}

function wrongValueOf(node: NewNode): Problem | null {
  if (!isNodeName(node.name)) {
    return new Problem(
      'wrong value',
      `'${node.name}' is no name of a node: it has 1 to 63 of a-z, 0-9, - and ., and begins and ends with a letter or digit.`,
    );
  }
  if (node.roles.length === 0)
    return new Problem('wrong value', `A node has one role or several of ${ROLES.join(', ')}.`);
  const address = node.addresses.find((each) => !isAddress(each));
  if (address === undefined) return null;
  return new Problem(
    'wrong value',
    `'${address}' is no address of a node: it has to be a host name or an IP address, without a port.`,
  );
}

function endOf(authority: Authority, days: number | undefined, nowMs: number): number | Problem {
  const wanted = nowMs + (days ?? NODE_DAYS_DEFAULT) * DAY_MS;
  if (authority.notAfterMs <= nowMs) {
    return new Problem(
      'refused',
      `The authority in ${authority.folder} ended at ${dateOf(authority.notAfterMs)}: make a new cluster.`,
    );
  }
  if (days !== undefined && wanted > authority.notAfterMs) {
    const daysMax = Math.floor((authority.notAfterMs - nowMs) / DAY_MS);
    return new Problem(
      'wrong value',
      `--days ${days} is longer than the authority lasts: it can be at most ${daysMax}.`,
    );
  }
  return Math.min(wanted, authority.notAfterMs);
}

/** Oldest first. */
export function listIssued(authority: Authority): readonly Issued[] | Problem {
  const path = fileIn(authority.folder).issued;
  const read = readSecretFile(path, WITHOUT_KEY);
  if (read.text === null && !read.absent) return new Problem('refused', read.message);
  const revoked = revokedOf(authority);
  if (revoked instanceof Problem) return revoked;
  const issued: Issued[] = [];
  for (const line of (read.text ?? '').split('\n')) {
    const [fingerprint = '', name = '', roles = '', end = ''] = line.split(' ');
    // A line cut short by a crash is that of a certificate that was not written either.
    if (parseFingerprint(fingerprint) === null || Number.isNaN(Date.parse(end))) continue;
    issued.push({ fingerprint, name, roles, notAfterMs: Date.parse(end), revoked: revoked.has(fingerprint) });
  }
  return issued;
}

export function revokedFileOf(authority: Authority): string {
  return resolve(fileIn(authority.folder).revoked);
}

export function revokedOf(authority: Authority): ReadonlySet<string> | Problem {
  const path = revokedFileOf(authority);
  if (!existsSync(path)) return NONE_REVOKED;
  const revoked = readRevoked(path);
  return typeof revoked === 'string' ? new Problem('refused', revoked) : revoked;
}

/** `what` is the name of a node (all its certificates), a fingerprint or a join file. What was revoked by this call. */
export function revoke(authority: Authority, what: string, nowMs: number): readonly Issued[] | Problem {
  const issued = listIssued(authority);
  if (issued instanceof Problem) return issued;
  let meant = issued.filter((each) => each.name === what || each.fingerprint === parseFingerprint(what));
  if (meant.length === 0 && existsSync(what)) {
    const identity = readAnyJoinFile(what);
    if (typeof identity === 'string') return new Problem('refused', identity);
    const problem = ofAnotherCluster(authority, what, identity);
    if (problem !== null) return problem;
    const { fingerprint, name, roles, notAfterMs } = identity;
    meant = issued.filter((each) => each.fingerprint === fingerprint);
    if (meant.length === 0) meant = [{ fingerprint, name, roles: roles.join(','), notAfterMs, revoked: false }];
  }
  if (meant.length === 0) {
    return new Problem(
      'absent',
      `There is no node, certificate or join file '${what}': 'perch cluster list' shows what there is.`,
    );
  }
  const fresh = meant.filter((each) => !each.revoked);
  for (const each of fresh) {
    const message = appendLine(revokedFileOf(authority), `${each.fingerprint} # ${each.name}, ${dateOf(nowMs)}`);
    if (message !== null) return new Problem('refused', message);
  }
  return fresh;
}

/** Null if the file's certificate is from this authority. */
export function ofAnotherCluster(
  authority: Authority,
  path: string,
  identity: { readonly cluster: string; readonly authorityPem: string },
): Problem | null {
  if (identity.authorityPem === authority.certificatePem) return null;
  return new Problem(
    'refused',
    `${path} is of another cluster: of '${identity.cluster}', and ${authority.folder} is that of '${authority.cluster}'.`,
  );
}
