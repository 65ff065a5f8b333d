/**
 * What a certificate says of its node, and how it is read back.
 *
 * Each role is a URI among the certificate's alternative names, `perch://CLUSTER/ROLE/NAME`, and beside them stand the
 * addresses that the node may be reached at. The form is closed: a URI that is not exactly of it makes the whole
 * certificate unfit, so that nothing a later version writes is half understood by an earlier one.
 */
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

export const ROLES = ['scheduler', 'worker', 'gateway'] as const;
export type Role = (typeof ROLES)[number];

/** Who a certificate says its holder is. */
export interface Subject {
  readonly cluster: string;
  readonly name: string;
  readonly roles: readonly Role[];
  /** DNS names and IP addresses, as `normalAddress` writes them; none: it may answer at any. */
  readonly addresses: readonly string[];
}

const CLUSTER_NAME = /^[a-z](?:[a-z0-9-]{0,29}[a-z0-9])?$/;
const CLUSTER = /^[a-z](?:[a-z0-9-]{0,29}[a-z0-9])?-[0-9a-f]{12}$/;
const NODE_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;
const DNS_NAME =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;
const ALTERNATIVE_NAME = /^(URI|DNS|IP Address):(.+)$/;
const ROLE_URI = /^perch:\/\/([a-z0-9-]+)\/([a-z]+)\/([a-z0-9.-]+)$/;

export function isClusterName(text: string): boolean {
  return CLUSTER_NAME.test(text);
}

export function isCluster(text: string): boolean {
  return CLUSTER.test(text);
}

export function isNodeName(text: string): boolean {
  return NODE_NAME.test(text);
}

export function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

/** A DNS name without wildcards, or an IP address without a zone. */
export function isAddress(text: string): boolean {
  // What looks like a number to a resolver is none of the names that it asks for.
  return isIP(text) !== 0 ? !text.includes('%') : DNS_NAME.test(text) && !/(?:^|\.)\d+$/.test(text);
}

/** So that equal ones are equal texts: certificates and people write them in several ways. */
export function normalAddress(text: string): string {
  return isIP(text) === 6 && !text.includes('%')
    ? new URL(`http://[${text}]`).hostname.slice(1, -1)
    : text.toLowerCase();
}

export function roleUri(cluster: string, role: Role, name: string): string {
  return `perch://${cluster}/${role}/${name}`;
}

/** SHA-256 of the certificate, 64 hexadecimal digits: how lists name it. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}

/** Null where the certificate does not name one node of one cluster in the form above. */
export function subjectOf(certificate: X509Certificate): Subject | null {
  // Node quotes a value that could be taken for several; no value of ours needs it, and quoted ones match nothing here.
  const entries = (certificate.subjectAltName ?? '').split(', ').map((entry) => ALTERNATIVE_NAME.exec(entry));
  if (entries.includes(null)) return null;
  const valuesOf = (isUri: boolean): string[] =>
    entries.filter((entry) => (entry?.[1] === 'URI') === isUri).map((entry) => entry?.[2] ?? '');
  const holders = valuesOf(true).map(holderOf);
  const [first] = holders;
  if (first === undefined || first === null) return null;
  const { cluster, name } = first;
  if (!holders.every((holder) => holder?.cluster === cluster && holder.name === name)) return null;
  const roles = ROLES.filter((role) => holders.some((holder) => holder?.role === role));
  return { cluster, name, roles, addresses: valuesOf(false).map(normalAddress) };
}

function holderOf(uri: string): { cluster: string; role: Role; name: string } | null {
  const [, cluster = '', role = '', name = ''] = ROLE_URI.exec(uri) ?? [];
  return isCluster(cluster) && isRole(role) && isNodeName(name) ? { cluster, role, name } : null;
}
