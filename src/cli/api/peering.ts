/**
 * Makes one cluster known to the hub of another: an account with a peer's rights there, its
 * kubeconfig in a Secret here, and a `Cluster` object that names it.
 */
import { resources } from '../../api/kinds/resources.ts';
import type { Cluster } from '../../api/kinds/cluster.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import { applyObjects } from '../../controllers/install.ts';
import { peerAccount, peerObjects, systemNamespace } from '../../controllers/installation.ts';
import type { KubeClient } from '../../kube/api.ts';
import { kubeconfigOf } from '../../kube/kubeconfig.ts';
import { keyOf } from '../../kube/objects.ts';
import { secrets } from '../../kube/resources.ts';
import { sleep } from '../../base/sleep.ts';
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
  /** Its hub may move namespaces there: objects of any kind. What was granted before stays. */
  readonly migrations: boolean;
}

/** Idempotent: an existing account and object are brought up to date. */
export async function introduce(introduction: Introduction): Promise<void> {
  const { hub, hubName, cluster, clusterName, clock, migrations } = introduction;
  await applyObjects(cluster.client, peerObjects(hubName, { migrations }));
  const token = await tokenOf(cluster.client, peerAccount(hubName), clock);
  const { server, authorityPem: authority } = cluster.endpoint;
  const context = { name: clusterName, server, authority, user: { token } };
  const text = JSON.stringify(kubeconfigOf([context], clusterName));
  const secretName = secretNameOf(clusterName);
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

/** The name of the Secret that `introduce` makes. */
export function secretNameOf(clusterName: string): string {
  return `cluster-${clusterName}`;
}

/** A cluster whose agents are trusted and whose API nobody has told yet. */
export async function announce(hub: KubeClient, clusterName: string): Promise<Cluster> {
  const known = await hub.get(resources.clusters, { namespace: '', name: clusterName });
  return known ?? hub.create(resources.clusters, { metadata: { name: clusterName }, spec: {} });
}

/** `Unsupported` unless the kinds of Transship are there. */
export async function checkInstalled({ client }: OpenApi, clusterName: string): Promise<void> {
  try {
    await client.request('GET', '/apis/transship.dev/v1alpha1');
  } catch (error) {
    if (asTransshipError(error).reason !== 'NotFound') throw error;
    const what = `cluster ${clusterName} does not have the kinds of Transship`;
    fail('Unsupported', `${what}; install its CRDs and controllers there first`);
  }
}

/** Forgets a cluster: its object, and the credentials that `introduce` has put beside it. */
export async function forget(hub: KubeClient, cluster: Cluster): Promise<void> {
  const { name = '', uid } = cluster.metadata;
  await hub.delete(resources.clusters, keyOf(cluster), uid === undefined ? {} : { uid });
  const place = cluster.spec.kubeconfigSecretRef;
  const own = secretNameOf(name);
  if (place?.name !== own || place.namespace !== systemNamespace) return;
  await hub.delete(secrets, { namespace: systemNamespace, name: own });
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
