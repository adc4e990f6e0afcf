/**
 * A certificate authority for one control plane: P-256 keys, and just the X.509 that Go's
 * verifier asks for. A few lines of DER spare a process per certificate.
 */
import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
  /** Context tags: of names in subjectAltName, of the version, of extensions. */
  dnsName: 0x82,
  ipAddress: 0x87,
  version: 0xa0,
  extensions: 0xa3,
} as const;

const oids = {
  commonName: [0x55, 0x04, 0x03],
  organization: [0x55, 0x04, 0x0a],
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
  basicConstraints: [0x55, 0x1d, 0x13],
  keyUsage: [0x55, 0x1d, 0x0f],
  extKeyUsage: [0x55, 0x1d, 0x25],
  subjectAltName: [0x55, 0x1d, 0x11],
  serverAuth: [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01],
  clientAuth: [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02],
} as const;

const dayMs = 24 * 60 * 60 * 1000;
const hourMs = 60 * 60 * 1000;

export interface KeyAndCertificate {
  readonly keyPem: string;
  readonly certPem: string;
}

/** Who a client certificate says it is: Kubernetes reads CN as user and O as groups. */
export interface Subject {
  readonly user: string;
  readonly groups?: readonly string[];
  /** From now; negative for one that has expired. A day if absent. */
  readonly validMs?: number;
}

export interface Authority {
  readonly caPem: string;
  readonly caKeyPem: string;
  issueClient(subject: Subject): KeyAndCertificate;
  issueServer(name: string, hosts: ServerHosts): KeyAndCertificate;
}

export interface ServerHosts {
  readonly names: readonly string[];
  /** IPv4. */
  readonly addresses: readonly string[];
}

interface Contents {
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly validMs: number;
  readonly extensions: readonly Buffer[];
}

export function createAuthority(name: string): Authority {
  const root = newKey();
  const issuer = distinguishedName(name, []);
  const issue = (parts: Omit<Contents, 'issuer' | 'publicKey'>): KeyAndCertificate => {
    const { key, keyPem } = newKey();
    return { keyPem, certPem: certificate({ ...parts, issuer, publicKey: key }, root.key) };
  };
  const caPem = certificate(
    {
      issuer,
      subject: issuer,
      publicKey: root.key,
      validMs: dayMs,
      extensions: [
        extension(oids.basicConstraints, sequence(der(tags.boolean, Buffer.from([0xff])))),
        // Six unused bits in the last byte, then keyCertSign and cRLSign.
        extension(oids.keyUsage, der(tags.bits, Buffer.from([1, 0x06]))),
      ],
    },
    root.key,
  );
  return {
    caPem,
    caKeyPem: root.keyPem,
    issueClient: ({ user, groups = [], validMs = dayMs }) =>
      issue({
        subject: distinguishedName(user, groups),
        validMs,
        extensions: [usage(oids.clientAuth)],
      }),
    issueServer: (host, { names, addresses }) => {
      const alternatives = [
        ...names.map((one) => der(tags.dnsName, Buffer.from(one))),
        ...addresses.map((one) => der(tags.ipAddress, Buffer.from(one.split('.').map(Number)))),
      ];
      return issue({
        subject: distinguishedName(host, []),
        validMs: dayMs,
        extensions: [
          usage(oids.serverAuth),
          extension(oids.subjectAltName, sequence(...alternatives)),
        ],
      });
    },
  };
}

/** A key for service account tokens, which are signed and not certified. */
export function createSigningKey(): { readonly keyPem: string; readonly publicPem: string } {
  const { key, keyPem } = newKey();
  const publicPem = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  return { keyPem, publicPem };
}

function newKey(): { readonly key: KeyObject; readonly keyPem: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // Kubernetes reads SEC 1 everywhere, PKCS #8 not in every place.
  const keyPem = privateKey.export({ type: 'sec1', format: 'pem' }).toString();
  return { key: privateKey, keyPem };
}

function certificate(contents: Contents, signer: KeyObject): string {
  const algorithm = sequence(der(tags.oid, Buffer.from(oids.ecdsaWithSha256)));
  // A serial number is positive: its first bit must not be set.
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(12)]);
  const endMs = Date.now() + contents.validMs;
  const beginMs = Math.min(Date.now(), endMs) - hourMs;
  const body = sequence(
    der(tags.version, der(tags.integer, Buffer.from([2]))),
    der(tags.integer, serial),
    algorithm,
    contents.issuer,
    sequence(utcTime(beginMs), utcTime(endMs)),
    contents.subject,
    createPublicKey(contents.publicKey).export({ type: 'spki', format: 'der' }),
    der(tags.extensions, sequence(...contents.extensions)),
  );
  const signature = sign('sha256', body, { key: signer, dsaEncoding: 'der' });
  const bits = der(tags.bits, Buffer.from([0]), signature);
  const lines =
    sequence(body, algorithm, bits)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function distinguishedName(commonName: string, organizations: readonly string[]): Buffer {
  const part = (oid: readonly number[], value: string): Buffer =>
    der(
      tags.set,
      sequence(der(tags.oid, Buffer.from(oid)), der(tags.utf8, Buffer.from(value, 'utf8'))),
    );
  const groups = organizations.map((one) => part(oids.organization, one));
  return sequence(...groups, part(oids.commonName, commonName));
}

function usage(oid: readonly number[]): Buffer {
  return extension(oids.extKeyUsage, sequence(der(tags.oid, Buffer.from(oid))));
}

/** All of ours are critical but names, whose subject is not empty. */
function extension(oid: readonly number[], value: Buffer): Buffer {
  const critical = oid === oids.basicConstraints || oid === oids.keyUsage;
  const mark = critical ? [der(tags.boolean, Buffer.from([0xff]))] : [];
  return sequence(der(tags.oid, Buffer.from(oid)), ...mark, der(tags.octets, value));
}

function utcTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return der(tags.utcTime, Buffer.from(`${digits}Z`));
}

function sequence(...parts: readonly Uint8Array[]): Buffer {
  return der(tags.sequence, ...parts);
}

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...(length < 128 ? [length] : long)]), content]);
}
