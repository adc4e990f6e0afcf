/**
 * Makes one cluster known to the hub of another: an account with a peer's rights there, its
 * kubeconfig in a Secret here, and a `Cluster` object that names it.
 */
import { resources } from '../../api/kinds/resources.ts';
import { fail } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import { applyObjects } from '../../controllers/install.ts';
import { peerAccount, peerObjects, systemNamespace } from '../../controllers/installation.ts';
import type { KubeClient } from '../../kube/api.ts';
import { secrets } from '../../kube/resources.ts';
import { sleep } from '../../kube/waiting.ts';
import type { OpenApi } from '../ports.ts';

const tokenMs = 30_000;
const pollMs = 100;

export interface Introduction {
  /** Whose hub gets to know it. */
  readonly hub: OpenApi;
  readonly hubName: string;
  readonly cluster: OpenApi;
  readonly clusterName: string;
  readonly clock: Clock;
}

/** Idempotent: an existing account and object are brought up to date. */
export async function introduce(introduction: Introduction): Promise<void> {
  const { hub, hubName, cluster, clusterName, clock } = introduction;
  await applyObjects(cluster.client, peerObjects(hubName));
  const token = await tokenOf(cluster.client, peerAccount(hubName), clock);
  const text = kubeconfigText(cluster, { name: clusterName, token });
  const secretName = `cluster-${clusterName}`;
  await hub.client.apply(secrets, {
    metadata: { name: secretName, namespace: systemNamespace },
    type: 'Opaque',
    data: { kubeconfig: Buffer.from(text).toString('base64') },
  });
  await hub.client.apply(resources.clusters, {
    metadata: { name: clusterName },
    spec: { kubeconfigSecretRef: { namespace: systemNamespace, name: secretName } },
  });
}

/** The server makes it for a Secret of the type service-account-token. */
async function tokenOf(client: KubeClient, name: string, clock: Clock): Promise<string> {
  const deadline = clock.monotonicMs() + tokenMs;
  for (;;) {
    const secret = await client.get(secrets, { namespace: systemNamespace, name });
    const data = secret?.data?.['token'];
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    if (clock.monotonicMs() > deadline) {
      fail('TimedOut', `cluster ${client.cluster} made no token for ${name}`);
    }
    await sleep(clock, pollMs);
  }
}

/** JSON is YAML. */
function kubeconfigText(
  { endpoint }: OpenApi,
  peer: { readonly name: string; readonly token: string },
): string {
  const { name, token } = peer;
  const authority =
    endpoint.authorityPem === undefined
      ? {}
      : { 'certificate-authority-data': Buffer.from(endpoint.authorityPem).toString('base64') };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server: endpoint.server, ...authority } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  });
}
