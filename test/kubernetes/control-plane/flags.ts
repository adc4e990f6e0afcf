/** How each program is told what it is: files on disk and command lines. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Authority, createSigningKey, type KeyAndCertificate } from './certificates.ts';
import { writeKubeconfig } from './kubeconfig.ts';

export type ComponentName = 'etcd' | 'kube-apiserver' | 'kube-controller-manager';

export const componentNames: readonly ComponentName[] = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
];

export interface Ports {
  readonly etcd: number;
  readonly apiServer: number;
  readonly controllerManager: number;
}

export interface Layout {
  readonly name: string;
  readonly directory: string;
  readonly ports: Ports;
  readonly authority: Authority;
  /** IPv4, beside loopback: where others reach the API server. */
  readonly addresses: readonly string[];
}

export interface Files {
  readonly admin: KeyAndCertificate;
  readonly adminKubeconfigPath: string;
  /** Signs service account tokens. */
  readonly tokenKeyPem: string;
}

/** What an API server expects in a token beside who it is for. */
export const tokenIssuer = 'https://kubernetes.default.svc';

/** Who the API server is when it asks a node. */
export const kubeletClientName = 'kube-apiserver-kubelet-client';

export const urlOf = (port: number): string => `https://127.0.0.1:${port}`;
export const etcdUrlOf = (port: number): string => `http://127.0.0.1:${port}`;

export function writeFiles({ name, directory, ports, authority, addresses }: Layout): Files {
  mkdirSync(join(directory, 'pki'), { recursive: true, mode: 0o700 });
  const write = (file: string, text: string): void =>
    writeFileSync(join(directory, 'pki', file), text, { mode: 0o600 });
  write('ca.crt', authority.caPem);
  write('ca.key', authority.caKeyPem);
  const server = authority.issueServer('kube-apiserver', {
    names: ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
    addresses: ['127.0.0.1', ...addresses],
  });
  write('server.crt', server.certPem);
  write('server.key', server.keyPem);
  const kubeletClient = authority.issueClient({ user: kubeletClientName });
  write('kubelet-client.crt', kubeletClient.certPem);
  write('kubelet-client.key', kubeletClient.keyPem);
  const token = createSigningKey();
  write('token.key', token.keyPem);
  write('token.pub', token.publicPem);

  const url = urlOf(ports.apiServer);
  const common = { name, url, caPem: authority.caPem };
  const admin = authority.issueClient({ user: 'admin', groups: ['system:masters'] });
  const adminKubeconfigPath = join(directory, 'admin.kubeconfig');
  writeKubeconfig({ ...common, path: adminKubeconfigPath, user: 'admin', identity: admin });
  const user = 'system:kube-controller-manager';
  const path = join(directory, 'pki/controller-manager.kubeconfig');
  writeKubeconfig({ ...common, path, user, identity: authority.issueClient({ user }) });
  return { admin, adminKubeconfigPath, tokenKeyPem: token.keyPem };
}

/** Relative paths are below the control plane's directory, where every program runs. */
export function argumentsOf({ ports }: Layout): Readonly<Record<ComponentName, readonly string[]>> {
  return {
    etcd: [
      '--data-dir=etcd',
      `--listen-client-urls=${etcdUrlOf(ports.etcd)}`,
      `--advertise-client-urls=${etcdUrlOf(ports.etcd)}`,
      '--listen-peer-urls=http://127.0.0.1:0',
      // A killed process loses nothing by this; only a power failure would.
      '--unsafe-no-fsync',
      // A lone member waits this long before it elects itself again.
      '--heartbeat-interval=10',
      '--election-timeout=100',
    ],
    'kube-apiserver': [
      `--etcd-servers=${etcdUrlOf(ports.etcd)}`,
      '--bind-address=127.0.0.1',
      // Or it looks for a default route, which a machine of its own need not have.
      '--advertise-address=127.0.0.1',
      '--external-hostname=localhost',
      `--secure-port=${ports.apiServer}`,
      '--cert-dir=pki',
      '--tls-cert-file=pki/server.crt',
      '--tls-private-key-file=pki/server.key',
      '--client-ca-file=pki/ca.crt',
      '--kubelet-client-certificate=pki/kubelet-client.crt',
      '--kubelet-client-key=pki/kubelet-client.key',
      '--kubelet-certificate-authority=pki/ca.crt',
      '--kubelet-preferred-address-types=InternalIP',
      `--service-account-issuer=${tokenIssuer}`,
      '--service-account-key-file=pki/token.pub',
      '--service-account-signing-key-file=pki/token.key',
      '--authorization-mode=Node,RBAC',
      '--anonymous-auth=false',
      '--allow-privileged=true',
      '--service-cluster-ip-range=10.96.0.0/16',
      // The address of a loopback server is of no use to anybody, and is refused as an endpoint.
      '--endpoint-reconciler-type=none',
      // Without it a graceful end waits up to a minute for clients to leave their watches.
      '--shutdown-watch-termination-grace-period=1s',
      '--profiling=false',
    ],
    'kube-controller-manager': [
      '--kubeconfig=pki/controller-manager.kubeconfig',
      '--bind-address=127.0.0.1',
      `--secure-port=${ports.controllerManager}`,
      '--cert-dir=pki',
      '--tls-cert-file=pki/server.crt',
      '--tls-private-key-file=pki/server.key',
      '--root-ca-file=pki/ca.crt',
      '--cluster-signing-cert-file=pki/ca.crt',
      '--cluster-signing-key-file=pki/ca.key',
      '--service-account-private-key-file=pki/token.key',
      '--use-service-account-credentials=true',
      '--leader-elect=false',
      // Tests wait for it: its defaults are meant for clusters that live longer.
      '--kube-api-qps=300',
      '--kube-api-burst=600',
      '--profiling=false',
    ],
  };
}
