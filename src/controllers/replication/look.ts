/** Looks at both clusters for the checks of a replication; changes nothing. */
import type { HistoryPolicy } from '../../api/kinds/history-policy.ts';
import { pools } from '../../api/kinds/pool.ts';
import type { Replication } from '../../api/kinds/replication.ts';
import { asTransshipError } from '../../base/errors.ts';
import type { KubeObject, ResourceType } from '../../kube/objects.ts';
import { customResourceDefinitions, persistentVolumeClaims } from '../../kube/resources.ts';
import { textAt } from '../../workload/fields.ts';
import { visit } from '../../workload/needs.ts';
import { preparedFor } from '../../workload/transform-context.ts';
import { quantityBytes } from '../claim/made.ts';
import type { Context } from '../context.ts';
import { annotations, driver } from '../labels.ts';
import { wishesOf } from '../plan/image-rules.ts';
import { type Observation, registriesOfSides } from '../plan/observation.ts';
import { observePlan } from '../plan/observe.ts';
import { namesThereOf } from '../plan/transform.ts';
import { type PlannedVolume, plannedVolumes } from '../plan/volumes.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import { hasVolumes, planOf } from './as-plan.ts';
import type { ClassRoom, MissingDefinition, NamedPolicy, ReplicationSeen } from './seen.ts';
import { lookAtSlices, noSlices } from './slices.ts';

const capacities: ResourceType = {
  group: 'storage.k8s.io',
  version: 'v1',
  plural: 'csistoragecapacities',
  kind: 'CSIStorageCapacity',
  namespaced: true,
};

/** Errors as the reads have them; a side that cannot be asked is no error but is told. */
export async function lookAt(context: Context, replication: Replication): Promise<ReplicationSeen> {
  const seen = withoutData(replication, await observePlan(context, planOf(replication, true)));
  const volumes = plannedVolumes(seen);
  const source = reachable(context, seen, 'source');
  const destination = reachable(context, seen, 'destination');
  const base = { replication, plan: seen, type: 'Namespace', volumes } as const;
  if (source === undefined || destination === undefined) {
    const nothing = { definitions: [], policies: [], images: [], slices: noSlices };
    return { ...base, ...nothing, rooms: [], unreadRooms: [], claimsThere: new Set() };
  }
  return {
    ...base,
    claimsThere: await claimsThere(replication, destination),
    ...(await roomsOf(destination)),
    definitions: await definitionsOf(source, seen),
    policies: policiesOf(seen, volumes, { source, destination }),
    images: imagesOf(seen),
    slices: await lookAtSlices(replication, { context, source, destination }),
  };
}

/** Claims are made without what is in them, where that was asked for. */
function withoutData(replication: Replication, seen: Observation): Observation {
  if (hasVolumes(replication) || seen.seenSource === undefined) return seen;
  return { ...seen, seenSource: { ...seen.seenSource, claims: [] } };
}

function reachable(
  { remotes }: Context,
  seen: Observation,
  side: 'source' | 'destination',
): ClusterAccess | undefined {
  const { name, exists, trouble } = seen[side];
  return exists && trouble === undefined ? remotes.find(name) : undefined;
}

async function claimsThere(
  { metadata, spec }: Replication,
  { client }: ClusterAccess,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const { name, to = name } of spec.namespaces) {
    for await (const claim of client.list(persistentVolumeClaims, { namespace: to })) {
      const isOurs = claim.metadata.annotations?.[preparedFor] === metadata.uid;
      if (isOurs) found.add(`${to}/${claim.metadata.name}`);
    }
  }
  return found;
}

/** Of classes of ours what the pools have left; of others what their drivers tell. */
async function roomsOf({
  client,
  classes,
}: ClusterAccess): Promise<Pick<ReplicationSeen, 'rooms' | 'unreadRooms'>> {
  let freeBytes: number | undefined;
  await visit(client, pools, ({ status }) => {
    if (status?.freeBytes !== undefined && status.readOnly !== true) {
      freeBytes = (freeBytes ?? 0) + status.freeBytes;
    }
  });
  const rooms = new Map<string, ClassRoom>();
  for (const { metadata, provisioner } of classes.list()) {
    const storageClass = metadata.name ?? '';
    if (provisioner !== driver || freeBytes === undefined) continue;
    rooms.set(storageClass, { storageClass, freeBytes, largestBytes: undefined });
  }
  const refused = await visit(client, capacities, (one: KubeObject) => {
    const storageClass = textAt(one, 'storageClassName') ?? '';
    const bytes = quantityBytes(textAt(one, 'capacity'));
    if (bytes === undefined) return;
    const known = rooms.get(storageClass);
    const largest = quantityBytes(textAt(one, 'maximumVolumeSize')) ?? bytes;
    rooms.set(storageClass, {
      storageClass,
      freeBytes: (known?.freeBytes ?? 0) + bytes,
      largestBytes: Math.max(known?.largestBytes ?? 0, largest),
    });
  });
  // Where nobody tells of room there is nothing to read.
  const forbidden = refused.filter(({ reason }) => reason === 'Forbidden');
  return { rooms: [...rooms.values()], unreadRooms: forbidden.map(({ message }) => message) };
}

async function definitionsOf(
  { client }: ClusterAccess,
  { seenSource }: Observation,
): Promise<readonly MissingDefinition[]> {
  const items = seenSource?.survey?.inventory.items ?? [];
  const unserved = items.filter((one) => one.unserved !== undefined);
  const groups = Map.groupBy(unserved, ({ type }) => `${type.plural}.${type.group}`);
  const found: MissingDefinition[] = [];
  for (const [name, { length: objects }] of groups) {
    found.push({ name, objects, definition: await definitionAt(client, name) });
  }
  return found;
}

/** What may not be read cannot be copied. */
async function definitionAt(client: ClusterAccess['client'], name: string) {
  try {
    return await client.get(customResourceDefinitions, { namespace: '', name });
  } catch (error) {
    if (asTransshipError(error).reason !== 'Forbidden') throw error;
    return undefined;
  }
}

function policiesOf(
  { seenSource }: Observation,
  volumes: readonly PlannedVolume[],
  { source, destination }: { source: ClusterAccess; destination: ClusterAccess },
): readonly NamedPolicy[] {
  const needed = new Map<string, string>();
  for (const { claim } of seenSource?.claims ?? []) {
    const { namespace, name, annotations: notes } = claim.metadata;
    const policy = notes?.[annotations.historyPolicy];
    if (policy !== undefined) needed.set(policy, `claim ${namespace}/${name}`);
  }
  for (const { target } of volumes) {
    const policy = target.storageClass?.parameters?.['historyPolicy'];
    const by = `storage class ${target.storageClass?.metadata.name}`;
    if (policy !== undefined) needed.set(policy, by);
  }
  const at = ({ policies }: ClusterAccess, name: string): HistoryPolicy | undefined =>
    policies.get({ namespace: '', name });
  return [...needed]
    .filter(([name]) => name !== 'none' && at(destination, name) === undefined)
    .map(([name, neededBy]) => ({ name, neededBy, policy: at(source, name) }));
}

function imagesOf(seen: Observation): ReplicationSeen['images'] {
  const items = seen.seenSource?.survey?.inventory.items ?? [];
  const texts = items.flatMap(({ images }) => images.map(({ text }) => text));
  return wishesOf(seen.plan, registriesOfSides(seen), namesThereOf(seen.plan), texts);
}
