/**
 * Namespaces on slices of KubeSlice, where one is installed (its API types, github.com/kubeslice/
 * apis): a worker's `Slice` lists what is onboarded there; a controller's `SliceConfig` says from
 * which clusters, and `*` among these is namespace sameness. Nothing of it is needed.
 */
import type { Replication } from '../../api/kinds/replication.ts';
import type { KubeClient } from '../../kube/api.ts';
import { createDiscovery } from '../../kube/discovery.ts';
import type { KubeObject, ResourceType } from '../../kube/objects.ts';
import { fieldsAt, fieldsListAt, textAt, valueAt } from '../../workload/fields.ts';
import { visit } from '../../workload/needs.ts';
import type { Context } from '../context.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import type { OnSlice, Slices } from './seen.ts';

const slices: ResourceType = {
  group: 'networking.kubeslice.io',
  version: 'v1beta1',
  plural: 'slice',
  kind: 'Slice',
  namespaced: true,
};
const configs: ResourceType = {
  group: 'controller.kubeslice.io',
  version: 'v1alpha1',
  plural: 'sliceconfigs',
  kind: 'SliceConfig',
  namespaced: true,
};

export const noSlices: Slices = { atSource: [], atDestination: [], everywhere: [], unread: [] };

interface Where {
  readonly context: Context;
  readonly source: ClusterAccess;
  readonly destination: ClusterAccess;
}

export async function lookAtSlices(
  { spec }: Replication,
  { context, source, destination }: Where,
): Promise<Slices> {
  const here = new Set(spec.namespaces.map(({ name }) => name));
  const there = new Set(spec.namespaces.map(({ name, to = name }) => to));
  const clients = new Map(
    [context.client, source.client, destination.client].map((one) => [one.cluster, one]),
  );
  const everywhere: OnSlice[] = [];
  const unread = new Set<string>();
  for (const client of clients.values()) {
    everywhere.push(...(await sameEverywhere(client, there, unread)));
  }
  return {
    atSource: await onboardedAt(source.client, here, unread),
    atDestination: await onboardedAt(destination.client, there, unread),
    everywhere,
    unread: [...unread],
  };
}

/** Under the plural that the server has: versions of KubeSlice differ in it. */
async function served(client: KubeClient, type: ResourceType): Promise<ResourceType | undefined> {
  const found = await createDiscovery(client).find(type.group, type.kind);
  return found === undefined ? undefined : { ...type, ...found };
}

async function onboardedAt(
  client: KubeClient,
  names: ReadonlySet<string>,
  unread: Set<string>,
): Promise<readonly OnSlice[]> {
  const type = await served(client, slices);
  if (type === undefined) return [];
  const found: OnSlice[] = [];
  const refused = await visit(client, type, (one: KubeObject) => {
    for (const namespace of onSlice(one)) {
      if (names.has(namespace)) found.push({ namespace, slice: one.metadata.name ?? '' });
    }
  });
  for (const { message } of refused) unread.add(message);
  return found;
}

function onSlice(slice: KubeObject): ReadonlySet<string> {
  const profile = fieldsAt(slice, 'status', 'sliceConfig', 'namespaceIsolationProfile');
  const lists = [
    valueAt(slice, ['status', 'applicationNamespaces']),
    valueAt(profile, ['applicationNamespaces']),
  ];
  return new Set(lists.flatMap((list) => (Array.isArray(list) ? list.map(String) : [])));
}

async function sameEverywhere(
  client: KubeClient,
  names: ReadonlySet<string>,
  unread: Set<string>,
): Promise<readonly OnSlice[]> {
  const type = await served(client, configs);
  if (type === undefined) return [];
  const found: OnSlice[] = [];
  const refused = await visit(client, type, (one: KubeObject) => {
    const path = ['spec', 'namespaceIsolationProfile', 'applicationNamespaces'];
    for (const entry of fieldsListAt(one, ...path)) {
      const namespace = textAt(entry, 'namespace') ?? '';
      const clusters = valueAt(entry, ['clusters']);
      const isSame = Array.isArray(clusters) && clusters.includes('*');
      if (isSame && names.has(namespace)) {
        found.push({ namespace, slice: one.metadata.name ?? '' });
      }
    }
  });
  for (const { message } of refused) unread.add(message);
  return found;
}

/** What a person may do afterwards, so that the copies are on the slice as well (K-8). */
export function followUps({ spec }: Replication, { atSource }: Slices): readonly string[] {
  return atSource.map(({ namespace, slice }) => {
    const { to = namespace } = spec.namespaces.find(({ name }) => name === namespace) ?? {};
    return (
      `Namespace ${namespace} is on slice ${slice}: to have its copy there too, add namespace ` +
      `${to} with cluster ${spec.destination} to ` +
      `spec.namespaceIsolationProfile.applicationNamespaces of SliceConfig ${slice}.`
    );
  });
}
