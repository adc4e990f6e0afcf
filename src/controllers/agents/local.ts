/** The object that stands for the cluster in which the controllers run as a pod. */
import { type Cluster, clusters } from '../../api/kinds/cluster.ts';
import { fail } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/api.ts';
import { agentSelector, controlPort, systemNamespace } from '../installation/names.ts';

/**
 * Made once, with the agents of the installation; later edits of it stay. `Conflict` when the
 * cluster has another name already: its agents are known to peers by that.
 */
export async function ensureLocalCluster(client: KubeClient, name: string): Promise<void> {
  for await (const { metadata, spec } of client.list<Cluster>(clusters)) {
    if (spec.local !== true) continue;
    if (metadata.name === name && spec.agentPods !== undefined) return;
    if (metadata.name === name) break;
    const remedy = `install with that name, or delete the Cluster ${metadata.name} first`;
    fail('Conflict', `this cluster is called ${metadata.name}, not ${name}: ${remedy}`);
  }
  const agentPods = { namespace: systemNamespace, selector: agentSelector, port: controlPort };
  await client.apply(clusters, { metadata: { name }, spec: { local: true, agentPods } });
}
