/** Keys and certificates of an embedded cluster: made at its first start, renewed in time. */
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { writePrivate } from '../private-file.ts';
import { createAuthority, issueCertificate, type KeyAndCertificate } from './certificates.ts';

const dayMs = 24 * 3600 * 1000;
/** Certificates of servers and administrators; renewed at a start when half of it is over. */
const validMs = 365 * dayMs;

export interface Pki {
  readonly authority: string;
  readonly server: KeyAndCertificate;
  /** In the group that may do everything. */
  readonly administrator: KeyAndCertificate;
}

/** `hosts`: names and addresses by which clients reach the server. */
export function openPki(directory: string, cluster: string, hosts: readonly string[]): Pki {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const nowMs = Date.now();
  const commonName = `transship ${cluster}`;
  // Ten years; a new one would make every kubeconfig of this cluster worthless.
  const authority = kept(directory, 'ca', () => createAuthority(commonName, nowMs));
  const issuer = { ...authority, commonName };
  const server = kept(directory, 'server', () =>
    issueCertificate(issuer, { commonName: cluster, use: 'server', hosts, nowMs, validMs }),
  );
  const administrator = kept(directory, 'administrator', () =>
    issueCertificate(issuer, {
      commonName: 'administrator',
      organizations: ['system:masters'],
      use: 'client',
      nowMs,
      validMs,
    }),
  );
  return { authority: authority.certificate, server, administrator };
}

/** What is in the directory, unless it is missing, unreadable or old. */
function kept(directory: string, name: string, make: () => KeyAndCertificate): KeyAndCertificate {
  const path = join(directory, `${name}.pem`);
  const found = read(path);
  if (found !== undefined) return found;
  const made = make();
  writePrivate(path, made.key + made.certificate);
  return made;
}

function read(path: string): KeyAndCertificate | undefined {
  let text: string;
  try {
    text = fs.readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  const at = text.indexOf('-----BEGIN CERTIFICATE-----');
  const found = { key: text.slice(0, at), certificate: text.slice(at) };
  const { validFromDate, validToDate } = new X509Certificate(found.certificate);
  const halfMs = (validFromDate.getTime() + validToDate.getTime()) / 2;
  return Date.now() < halfMs ? found : undefined;
}
