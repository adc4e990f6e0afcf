/**
 * The certificate authority of an embedded cluster and what it signs: the API server's certificate
 * and those of its users (RFC 5280; who a client is: Kubernetes, "X509 client certificates").
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { isIP } from 'node:net';
import { fail } from '../../base/errors.ts';
import { der, oids, signed, tags } from '../certificate.ts';

/** PEM texts. The key is PKCS #8 and belongs in a file of mode 0600. */
export interface KeyAndCertificate {
  readonly key: string;
  readonly certificate: string;
}

export interface CertificateSubject {
  /** The user's name, or the server's. */
  readonly commonName: string;
  /** The user's groups. */
  readonly organizations?: readonly string[];
  readonly use: 'server' | 'client';
  /** DNS names and addresses that a server is reached by. */
  readonly hosts?: readonly string[];
  readonly nowMs: number;
  readonly validMs: number;
}

const dayMs = 24 * 3600 * 1000;
export const authorityValidMs = 3650 * dayMs;
/** Certificates begin earlier than they are made, for clients whose clock is behind. */
const skewMs = 3600 * 1000;

const extensionOids = {
  subjectKey: [0x55, 0x1d, 0x0e],
  keyUsage: [0x55, 0x1d, 0x0f],
  subjectNames: [0x55, 0x1d, 0x11],
  basicConstraints: [0x55, 0x1d, 0x13],
  authorityKey: [0x55, 0x1d, 0x23],
  extendedKeyUsage: [0x55, 0x1d, 0x25],
} as const;

/** id-kp-serverAuth and id-kp-clientAuth. */
const purposes = {
  server: [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01],
  client: [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02],
} as const;

/** Bits of KeyUsage, most significant first, behind the number of unused ones. */
const usages = { signCertificates: [0x01, 0x06], signData: [0x07, 0x80] } as const;

/** Context-specific tags (RFC 5280, 4.1, 4.2.1.1 and 4.2.1.6). */
const contexts = { extensions: 0xa3, keyId: 0x80, dnsName: 0x82, address: 0x87 } as const;

/** A new authority, self-signed. */
export function createAuthority(commonName: string, nowMs: number): KeyAndCertificate {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = nameOf({ commonName });
  const publicKey = createPublicKey(privateKey);
  const extensions = [
    extension(extensionOids.basicConstraints, authorityConstraints(), true),
    extension(extensionOids.keyUsage, bits(usages.signCertificates), true),
    extension(extensionOids.subjectKey, der(tags.octets, keyId(publicKey))),
  ];
  const certificate = signed(
    bodyOf({
      issuer: name,
      subject: name,
      publicKey,
      fromMs: nowMs - skewMs,
      untilMs: nowMs + authorityValidMs,
      extensions,
    }),
    privateKey,
  );
  return { key: pemOf(privateKey), certificate };
}

/** A new key and its certificate, signed by the authority. */
export function issueCertificate(
  authority: KeyAndCertificate & { readonly commonName: string },
  subject: CertificateSubject,
): KeyAndCertificate {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const authorityKey = createPrivateKey(authority.key);
  const publicKey = createPublicKey(privateKey);
  const purpose = der(tags.sequence, der(tags.oid, Buffer.from(purposes[subject.use])));
  const issuerId = der(contexts.keyId, keyId(createPublicKey(authorityKey)));
  const hosts = subject.hosts ?? [];
  const extensions = [
    extension(extensionOids.basicConstraints, der(tags.sequence), true),
    extension(extensionOids.keyUsage, bits(usages.signData), true),
    extension(extensionOids.extendedKeyUsage, purpose),
    extension(extensionOids.subjectKey, der(tags.octets, keyId(publicKey))),
    extension(extensionOids.authorityKey, der(tags.sequence, issuerId)),
    ...(hosts.length === 0
      ? []
      : [extension(extensionOids.subjectNames, der(tags.sequence, ...hosts.map(hostName)))]),
  ];
  const certificate = signed(
    bodyOf({
      issuer: nameOf({ commonName: authority.commonName }),
      subject: nameOf(subject),
      publicKey,
      fromMs: subject.nowMs - skewMs,
      untilMs: subject.nowMs + subject.validMs,
      extensions,
    }),
    authorityKey,
  );
  return { key: pemOf(privateKey), certificate };
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

interface Body {
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly extensions: readonly Buffer[];
}

/** TBSCertificate. */
function bodyOf(body: Body): Buffer {
  // A serial number is positive: its first bit must not be set.
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(15)]);
  return der(
    tags.sequence,
    der(tags.version, der(tags.integer, Buffer.from([2]))),
    der(tags.integer, serial),
    der(tags.sequence, der(tags.oid, Buffer.from(oids.ecdsaWithSha256))),
    body.issuer,
    der(tags.sequence, timeOf(body.fromMs), timeOf(body.untilMs)),
    body.subject,
    body.publicKey.export({ type: 'spki', format: 'der' }),
    der(contexts.extensions, der(tags.sequence, ...body.extensions)),
  );
}

function nameOf(subject: Pick<CertificateSubject, 'commonName' | 'organizations'>): Buffer {
  const attributes = [
    ...(subject.organizations ?? []).map((group) => attribute(oids.organization, group)),
    attribute(oids.commonName, subject.commonName),
  ];
  return der(tags.sequence, ...attributes);
}

function attribute(oid: readonly number[], text: string): Buffer {
  const value = der(tags.utf8, Buffer.from(text, 'utf8'));
  return der(tags.set, der(tags.sequence, der(tags.oid, Buffer.from(oid)), value));
}

/** Two digits of the year until 2049, four from then on (RFC 5280, 4.1.2.5). */
function timeOf(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14);
  const isShort = digits < '2050';
  const text = `${isShort ? digits.slice(2) : digits}Z`;
  return der(isShort ? tags.shortTime : tags.time, Buffer.from(text));
}

function extension(oid: readonly number[], value: Uint8Array, isCritical = false): Buffer {
  const critical = isCritical ? [der(tags.boolean, Buffer.from([0xff]))] : [];
  return der(tags.sequence, der(tags.oid, Buffer.from(oid)), ...critical, der(tags.octets, value));
}

/** cA: true. */
function authorityConstraints(): Buffer {
  return der(tags.sequence, der(tags.boolean, Buffer.from([0xff])));
}

function bits(content: readonly number[]): Buffer {
  return der(tags.bits, Buffer.from(content));
}

function keyId(key: KeyObject): Buffer {
  const spki = key.export({ type: 'spki', format: 'der' });
  return createHash('sha1').update(spki).digest();
}

function hostName(host: string): Buffer {
  const family = isIP(host);
  if (family === 0) return der(contexts.dnsName, Buffer.from(host, 'latin1'));
  return der(contexts.address, family === 4 ? addressV4(host) : addressV6(host));
}

function addressV4(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

function addressV6(text: string): Buffer {
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const before = groups(head);
  const after = groups(tail ?? '');
  if (text.includes('.')) fail('BadArgument', `write ${text} without a dotted part`);
  const missing = Math.max(0, 8 - before.length - after.length);
  const all = [...before, ...Array.from({ length: missing }, () => '0'), ...after];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
