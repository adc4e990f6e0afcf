import { writeFileSync } from 'node:fs';
import type { Identity } from './request.ts';

export interface Kubeconfig {
  readonly path: string;
  /** Of the cluster and of the context. */
  readonly name: string;
  readonly url: string;
  readonly caPem: string;
  readonly user: string;
  readonly identity: Identity;
}

/** JSON is YAML: every client reads it. */
export function writeKubeconfig(config: Kubeconfig): void {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const { name, user, identity } = config;
  const { certPem, keyPem, token } = identity;
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      { name, cluster: { server: config.url, 'certificate-authority-data': base64(config.caPem) } },
    ],
    contexts: [{ name, context: { cluster: name, user } }],
    users: [
      {
        name: user,
        user: {
          ...(certPem !== undefined && { 'client-certificate-data': base64(certPem) }),
          ...(keyPem !== undefined && { 'client-key-data': base64(keyPem) }),
          ...(token !== undefined && { token }),
        },
      },
    ],
  };
  writeFileSync(config.path, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 });
}
