/**
 * Makes certificates: the authority's own and those of nodes. Nothing else loads the library that does it; whoever
 * only checks certificates has node:crypto for that.
 */
import type { webcrypto } from 'node:crypto';
import { KeyObject, X509Certificate, createHash, createPrivateKey, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import type { Role } from './names.ts';
import { roleUri } from './names.ts';

/**
 * A certificate is valid from this long before it was made, so that a node whose clock is behind takes it at once.
 * docs/CLUSTER.md says so.
 */
export const SKEW_MS = 3600_000;
const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3653;

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256' } as const;
/** X.509's names for things (RFC 5280, section 4.2). */
const OID = {
  commonName: '2.5.4.3',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;
/** Bits of the key usage, most significant first; the number of unused bits of its last byte. */
const DIGITAL_SIGNATURE = { bits: 0x80, unused: 7 };
const SIGNS_CERTIFICATES = { bits: 0x06, unused: 1 };
const NAME_DNS = 2 as const;
const NAME_URI = 6 as const;
const NAME_IP = 7 as const;

export interface Certified {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface NodeSpec {
  readonly cluster: string;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly addresses: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Certificates hold whole seconds. */
function wholeSecond(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000);
}

/** An authority for ten years. */
export async function makeAuthority(cluster: string, nowMs: number): Promise<Certified> {
  const keys = await makeKeys();
  const certificate = blank(nowMs - SKEW_MS, nowMs + AUTHORITY_DAYS * DAY_MS);
  // No node can be called so: a subject that is its issuer's would pass for signed by itself.
  nameInto(certificate.subject, `Perch cluster ${cluster}`);
  certificate.issuer = certificate.subject;
  const keyId = keyIdOf(KeyObject.from(keys.publicKey));
  certificate.extensions = [
    extension(OID.basicConstraints, true, new pkijs.BasicConstraints({ cA: true, pathLenConstraint: 0 })),
    keyUsage(SIGNS_CERTIFICATES),
    extension(OID.subjectKeyId, false, new asn1js.OctetString({ valueHex: keyId })),
    alternativeNames([{ type: NAME_URI, value: `perch://${cluster}` }]),
  ];
  return sign(certificate, keys, keys.privateKey);
}

/** A certificate for a node, with a key of its own. */
export async function makeCertificate(authority: Certified, spec: NodeSpec): Promise<Certified> {
  const issuer = new X509Certificate(authority.certificatePem);
  const keys = await makeKeys();
  const certificate = blank(spec.notBeforeMs, spec.notAfterMs);
  certificate.issuer = pkijs.Certificate.fromBER(issuer.raw).subject;
  nameInto(certificate.subject, spec.name);
  const names: pkijs.GeneralNameParameters[] = [
    ...spec.roles.map((role) => ({ type: NAME_URI, value: roleUri(spec.cluster, role, spec.name) })),
    ...spec.addresses.map((address) =>
      isIP(address) === 0
        ? { type: NAME_DNS, value: address }
        : { type: NAME_IP, value: new asn1js.OctetString({ valueHex: addressBytes(address) }) },
    ),
  ];
  certificate.extensions = [
    extension(OID.basicConstraints, true, new pkijs.BasicConstraints({ cA: false })),
    keyUsage(DIGITAL_SIGNATURE),
    extension(OID.extendedKeyUsage, true, new pkijs.ExtKeyUsage({ keyPurposes: [OID.serverAuth, OID.clientAuth] })),
    extension(OID.subjectKeyId, false, new asn1js.OctetString({ valueHex: keyIdOf(KeyObject.from(keys.publicKey)) })),
    extension(
      OID.authorityKeyId,
      false,
      new pkijs.AuthorityKeyIdentifier({
        keyIdentifier: new asn1js.OctetString({ valueHex: keyIdOf(issuer.publicKey) }),
      }),
    ),
    alternativeNames(names),
  ];
  const authorityKey = createPrivateKey(authority.keyPem).toCryptoKey(ECDSA, false, ['sign']);
  return sign(certificate, keys, authorityKey);
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

function blank(notBeforeMs: number, notAfterMs: number): pkijs.Certificate {
  const certificate = new pkijs.Certificate();
  certificate.version = 2;
  const serial = randomBytes(16);
  // Positive and of full length, as RFC 5280 asks.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  certificate.serialNumber = new asn1js.Integer({ valueHex: bytesOf(serial) });
  certificate.notBefore = timeOf(notBeforeMs);
  certificate.notAfter = timeOf(notAfterMs);
  return certificate;
}

/** Years from 2050 on have another form (RFC 5280, section 4.1.2.5). */
function timeOf(ms: number): pkijs.Time {
  const value = wholeSecond(ms);
  return new pkijs.Time({ type: value.getUTCFullYear() < 2050 ? 0 : 1, value });
}

async function sign(
  certificate: pkijs.Certificate,
  keys: webcrypto.CryptoKeyPair,
  by: webcrypto.CryptoKey,
): Promise<Certified> {
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey);
  await certificate.sign(by, 'SHA-256');
  const base64 = Buffer.from(certificate.toSchema().toBER(false)).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return {
    certificatePem: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    keyPem: KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

interface Encodable {
  toSchema?(): asn1js.BaseBlock;
  toBER?(sizeOnly?: boolean): ArrayBuffer;
}

function extension(extnID: string, critical: boolean, value: Encodable): pkijs.Extension {
  const schema = value.toSchema?.() ?? (value as asn1js.BaseBlock);
  return new pkijs.Extension({ extnID, critical, extnValue: schema.toBER(false) });
}

function keyUsage({ bits, unused }: { bits: number; unused: number }): pkijs.Extension {
  const value = new asn1js.BitString({ valueHex: bytesOf(Uint8Array.of(bits)), unusedBits: unused });
  return extension(OID.keyUsage, true, value);
}

function alternativeNames(names: readonly pkijs.GeneralNameParameters[]): pkijs.Extension {
  const value = new pkijs.GeneralNames({ names: names.map((name) => new pkijs.GeneralName(name)) });
  return extension(OID.alternativeName, false, value);
}

function nameInto(target: pkijs.RelativeDistinguishedNames, value: string): void {
  const commonName = { type: OID.commonName, value: new asn1js.Utf8String({ value }) };
  target.typesAndValues.push(new pkijs.AttributeTypeAndValue(commonName));
}

/** The beginning of the SHA-256 of the public key (RFC 7093, method 4). */
function keyIdOf(key: KeyObject): ArrayBuffer {
  const spki = key.export({ type: 'spki', format: 'der' });
  return bytesOf(createHash('sha256').update(spki).digest().subarray(0, 20));
}

/** 4 or 16 bytes. */
function addressBytes(address: string): ArrayBuffer {
  if (isIP(address) === 4) return bytesOf(Uint8Array.from(address.split('.'), Number));
  // The URL parser writes every form of an IPv6 address as groups of hexadecimal digits.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string | undefined): number[] =>
    (text ?? '') === '' ? [] : (text ?? '').split(':').map((group) => Number.parseInt(group, 16));
  const [first, last] = [groups(head), groups(tail)];
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
  return bytesOf(Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff])));
}

function bytesOf(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
