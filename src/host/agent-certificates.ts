/** Certificates of agents and their controllers, as pods have them. */
import type { CertificateMaker, KeyPair } from '../controllers/agents/certificates.ts';
import { controlServerName } from './control-tls.ts';
import { createAuthority, issueCertificate } from './control-plane/certificates.ts';

const commonName = 'transship agents';
const validMs = 365 * 24 * 3600 * 1000;

export function createCertificateMaker(nowMs: () => number): CertificateMaker {
  return {
    nowMs,
    authority: () => createAuthority(commonName, nowMs()),
    issue: (authority: KeyPair, use) => {
      const hosts = use === 'server' ? [controlServerName] : [];
      const subject = { commonName: `transship ${use}`, use, hosts, nowMs: nowMs(), validMs };
      return issueCertificate({ ...authority, commonName }, subject);
    },
  };
}
