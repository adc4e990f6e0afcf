/** The certificates of one transfer: an authority signs one server and one client, and ends. */
import { createAuthority, issueCertificate } from '../control-plane/certificates.ts';
import type { MoverCertificates } from '../../files/pods.ts';

/** Longer than any transfer; what ends the trust is that the Secrets are deleted. */
const validMs = 30 * 24 * 3600 * 1000;

/** The authority's key is not returned: nobody can ever join. */
export function makeMoverCertificates(serverName: string, nowMs: number): MoverCertificates {
  const authority = { commonName: 'transship mover', ...createAuthority('transship mover', nowMs) };
  const issue = (use: 'server' | 'client') => {
    const hosts = use === 'server' ? [serverName] : [];
    const subject = { commonName: `transship mover ${use}`, use, hosts, nowMs, validMs };
    const { certificate, key } = issueCertificate(authority, subject);
    return { 'ca.crt': authority.certificate, 'tls.crt': certificate, 'tls.key': key };
  };
  return { server: issue('server'), client: issue('client') };
}
