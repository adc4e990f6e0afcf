/** What an installation still waits for, by name. */
import type { Cluster } from '../../api/kinds/cluster.ts';
import { resources } from '../../api/kinds/resources.ts';
import { components, partOf, systemNamespace } from '../../controllers/installation/names.ts';
import type { KubeClient } from '../../kube/api.ts';
import { type DaemonSet, daemonSets, deployments, type Pod, pods } from '../../kube/workloads.ts';

const podsShown = 3;

/** Empty: all of it runs, and the agents answer. One sentence for each thing in the way. */
export async function blockersOf(
  client: KubeClient,
  clusterName: string,
): Promise<readonly string[]> {
  const found = [
    await deploymentBlocker(client),
    await setBlocker(client, 'devices'),
    await setBlocker(client, 'agent'),
  ].filter((one) => one !== undefined);
  if (found.length > 0) return found;
  const cluster = await clusterBlocker(client, clusterName);
  return cluster === undefined ? [] : [cluster];
}

async function deploymentBlocker(client: KubeClient): Promise<string | undefined> {
  const name = 'transship-controller';
  const found = await client.get(deployments, { namespace: systemNamespace, name });
  if (found === undefined) return `deployment/${name} is gone`;
  const { availableReplicas = 0, updatedReplicas = 0, observedGeneration = 0 } = found.status ?? {};
  const wanted = found.spec?.replicas ?? 1;
  const isSeen = observedGeneration >= (found.metadata.generation ?? 0);
  if (isSeen && availableReplicas >= wanted && updatedReplicas >= wanted) return undefined;
  const count = `${isSeen ? Math.min(availableReplicas, updatedReplicas) : 0} of ${wanted}`;
  return `deployment/${name}: ${count} ready${await podTroubles(client, 'controller')}`;
}

async function setBlocker(
  client: KubeClient,
  component: 'agent' | 'devices',
): Promise<string | undefined> {
  const name = `transship-${component}`;
  const found = await client.get(daemonSets, { namespace: systemNamespace, name });
  if (found === undefined) return `daemonset/${name} is gone`;
  const { wanted, ready } = countsOf(found);
  if (wanted > 0 && ready >= wanted) return undefined;
  if (wanted === 0) return `daemonset/${name}: no node takes it`;
  const troubles = await podTroubles(client, component);
  return `daemonset/${name}: ${ready} of ${wanted} ready${troubles}`;
}

/** Devices are replaced by hand, node by node: those of an earlier version count. */
function countsOf({ metadata, spec, status }: DaemonSet) {
  const { observedGeneration = 0, desiredNumberScheduled: wanted = 0 } = status ?? {};
  const { numberAvailable = 0, updatedNumberScheduled = 0 } = status ?? {};
  if (observedGeneration < (metadata.generation ?? 0)) return { wanted, ready: 0 };
  const isByHand = spec?.updateStrategy?.type === 'OnDelete';
  return {
    wanted,
    ready: isByHand ? numberAvailable : Math.min(numberAvailable, updatedNumberScheduled),
  };
}

async function podTroubles(
  client: KubeClient,
  component: keyof typeof components,
): Promise<string> {
  const labels = Object.entries({
    'app.kubernetes.io/name': partOf['app.kubernetes.io/name'],
    ...components[component],
  });
  const selector = labels.map(([key, value]) => `${key}=${value}`).join(',');
  const troubles: string[] = [];
  for await (const pod of client.list(pods, { namespace: systemNamespace, labels: selector })) {
    const trouble = troubleOf(pod);
    if (trouble !== undefined) troubles.push(`pod ${pod.metadata.name}: ${trouble}`);
  }
  return troubles.length === 0 ? '' : ` (${troubles.slice(0, podsShown).join('; ')})`;
}

function troubleOf({ status }: Pod): string | undefined {
  for (const { name, state, lastState } of status?.containerStatuses ?? []) {
    const { waiting } = state ?? {};
    if (waiting === undefined) continue;
    const before = lastState?.terminated?.exitCode;
    const ended = before === undefined ? '' : `, it ended with ${before}`;
    const message = waiting.message === undefined ? '' : `: ${waiting.message}`;
    return `${name} waits, ${waiting.reason ?? 'for its start'}${message}${ended}`;
  }
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') return scheduled.message ?? 'no node takes it';
  return status?.reason ?? (status?.phase === 'Running' ? undefined : status?.phase);
}

async function clusterBlocker(client: KubeClient, name: string): Promise<string | undefined> {
  const found = await client.get<Cluster>(resources.clusters, { namespace: '', name });
  if (found === undefined) return `cluster/${name}: the controllers have not made it yet`;
  const ready = found.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True') return undefined;
  return `cluster/${name}: ${ready?.message ?? 'the controllers have not looked at it yet'}`;
}
