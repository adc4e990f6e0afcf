/**
 * The agents of a cluster: those that its `Cluster` object names, and those that run as pods with
 * the labels it gives. An agent has the name of its node, whatever address its pod has.
 */
import type { Cluster } from '../../api/kinds/cluster.ts';
import type { KubeClient } from '../../kube/api.ts';
import { type Pod, pods } from '../../kube/workloads.ts';
import type { AgentPlace } from '../ports.ts';

export type AgentPods = NonNullable<Cluster['spec']['agentPods']>;

/** Places named by hand come first, and win where both name an agent. */
export async function agentPlaces(
  client: KubeClient,
  cluster: Cluster | undefined,
): Promise<readonly AgentPlace[]> {
  const { agents = [], agentPods } = cluster?.spec ?? {};
  if (agentPods === undefined) return agents;
  const found: AgentPlace[] = [];
  const { namespace, selector, port } = agentPods;
  for await (const pod of client.list(pods, { namespace, labels: selector })) {
    const place = placeOf(pod, port);
    if (place !== undefined) found.push(place);
  }
  return merged(agents, found);
}

function merged(named: readonly AgentPlace[], found: readonly AgentPlace[]): readonly AgentPlace[] {
  const places = new Map(found.map((place) => [place.name, place]));
  for (const place of named) places.set(place.name, place);
  return [...places.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Undefined for a pod that has no address yet, or is going: the next one has the node's agent. */
function placeOf({ metadata, spec, status }: Pod, port: number): AgentPlace | undefined {
  const { nodeName } = spec ?? {};
  const { podIP, phase } = status ?? {};
  if (nodeName === undefined || podIP === undefined || phase !== 'Running') return undefined;
  if (metadata.deletionTimestamp !== undefined) return undefined;
  const host = podIP.includes(':') ? `[${podIP}]` : podIP;
  return { name: nodeName, address: `https://${host}:${port}` };
}
