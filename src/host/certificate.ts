/**
 * A self-signed certificate. Peers pin the key and read nothing else of it (docs/formats/peer.md,
 * "Link"), so these few lines of DER are all that is needed of X.509.
 */
import { createPublicKey, type KeyObject, sign } from 'node:crypto';

export const oids = {
  commonName: [0x55, 0x04, 0x03],
  organization: [0x55, 0x04, 0x0a],
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
} as const;

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  shortTime: 0x17,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
} as const;

export interface CertificateRequest {
  /** A P-256 key. */
  readonly key: KeyObject;
  /** For people who look at it. */
  readonly commonName: string;
  readonly serial: Uint8Array;
  readonly fromMs: number;
}

/** PEM. It ends in the year 9999: what ends a cluster's trust is its peer record. */
export function selfSign(request: CertificateRequest): string {
  const algorithm = der(tags.sequence, der(tags.oid, Buffer.from(oids.ecdsaWithSha256)));
  const name = nameOf(request.commonName);
  const version = der(tags.version, der(tags.integer, Buffer.from([2])));
  // A serial number is positive: its first bit must not be set.
  const serial = Buffer.concat([Buffer.from([0x01]), request.serial]);
  const ends = Buffer.from('99991231235959Z');
  const validity = der(tags.sequence, timeOf(request.fromMs), der(tags.time, ends));
  const spki = createPublicKey(request.key).export({ type: 'spki', format: 'der' });
  const parts = [version, der(tags.integer, serial), algorithm, name, validity, name, spki];
  const body = der(tags.sequence, ...parts);
  return signed(body, request.key);
}

/** The PEM of a certificate's body, signed with ECDSA and SHA-256 by a P-256 key. */
export function signed(body: Uint8Array, key: KeyObject): string {
  const signature = sign('sha256', body, { key, dsaEncoding: 'der' });
  const algorithm = der(tags.sequence, der(tags.oid, Buffer.from(oids.ecdsaWithSha256)));
  const bits = der(tags.bits, Buffer.from([0]), signature);
  const text = der(tags.sequence, body, algorithm, bits).toString('base64');
  const lines = text.match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function nameOf(commonName: string): Buffer {
  const value = der(tags.utf8, Buffer.from(commonName, 'utf8'));
  const attribute = der(tags.sequence, der(tags.oid, Buffer.from(oids.commonName)), value);
  return der(tags.sequence, der(tags.set, attribute));
}

function timeOf(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14);
  return der(tags.time, Buffer.from(`${digits}Z`));
}

/** One element: tag, length, content. Up to 64 KiB, more than any certificate has. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const short = [length];
  const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...(length < 128 ? short : long)]), content]);
}
