/**
 * The end of a replication: what it made at the destination goes, and nothing else. What is ours
 * says so itself, by the mark that it was made with; what others have changed or use since is kept.
 */
import { historyPolicies } from '../../api/kinds/history-policy.ts';
import { volumes as ourVolumes } from '../../api/kinds/volume.ts';
import { fail } from '../../base/errors.ts';
import { createDiscovery } from '../../kube/discovery.ts';
import { keyOf, keyText, type KubeObject, type ResourceType } from '../../kube/objects.ts';
import {
  customResourceDefinitions,
  namespaces,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../kube/resources.ts';
import { type Pod, pods, type StatefulSet, statefulSets } from '../../kube/workloads.ts';
import { keepClaimsOf } from '../../workload/claim-template-run.ts';
import { typeOf } from '../../workload/existing-run.ts';
import { type Item, readItems, takeInventory, type Unreadable } from '../../workload/inventory.ts';
import { groupOf, nameOf, nameText } from '../../workload/names.ts';
import { visit } from '../../workload/needs.ts';
import { orderForDelete } from '../../workload/order.ts';
import { claimsOfPodSpec } from '../../workload/pod-specs.ts';
import { hasEnded } from '../../workload/quiesce.ts';
import { preparedFor } from '../../workload/transform-context.ts';
import { valueAt } from '../../workload/fields.ts';
import { whyKindExcluded } from '../../workload/exclusions.ts';
import { annotations } from '../labels.ts';
import { madeNamespaces, removeNamespaces } from '../migration/namespaces.ts';
import { namespacesAt, uidOf } from '../migration/run.ts';
import type { ReplicationRun } from './as-plan.ts';
import { eachOfKind } from './apply.ts';
import { editorsOf } from './edits.ts';
import { takeBackFixes } from './fixes.ts';
import { lookAtAll, missingLooks } from './looks.ts';

type Run = ReplicationRun;

export interface Removal {
  /** What is still there, and will go; empty: all is done. */
  readonly left: readonly string[];
  /** What stays, and why. */
  readonly notes: readonly string[];
}

function isOurs(run: Run, { metadata }: KubeObject): boolean {
  const id = uidOf(run.replication);
  return metadata.annotations?.[preparedFor] === id;
}

/** One look and one push at everything; called until nothing is left. `Forbidden` names all. */
export async function removeAll(run: Run): Promise<Removal> {
  const objects = await removeObjects(run);
  const missing = [...objects.hidden, ...(await missingLooks(run))];
  if (missing.length > 0) {
    fail('Forbidden', `what it made cannot be found: ${missing.join('; ')}`);
  }
  if (objects.left.length > 0) return objects;
  const claims = await removeClaims(run);
  if (claims.left.length > 0) return { ...claims, notes: [...objects.notes, ...claims.notes] };
  const outside = await removeOutside(run);
  const fixed = await takeBackFixes(run);
  const made = await madeNamespaces(run);
  await removeNamespaces(run);
  const stays = made.flatMap(({ name, inside }) =>
    inside === undefined ? [] : [`Namespace ${name} stays: ${inside} is in it.`],
  );
  return { left: [], notes: [...objects.notes, ...claims.notes, ...outside, ...fixed, ...stays] };
}

/** Users before what they use. Claims are for afterwards. */
async function removeObjects(run: Run): Promise<Removal & { readonly hidden: readonly string[] }> {
  const { client } = run.destination;
  const discovery = createDiscovery(client);
  const served = await discovery.resources();
  const names: string[] = [];
  const own = new Set<string>();
  for (const name of namespacesAt(run, 'destination')) {
    const found = await client.get(namespaces, { namespace: '', name });
    if (found === undefined) continue;
    names.push(name);
    if (found.metadata.annotations?.[annotations.madeBy] === uidOf(run.replication)) own.add(name);
  }
  if (names.length === 0) return { left: [], notes: [], hidden: [] };
  const { items, unreadable } = await takeInventory(client, { namespaces: names, served });
  const [left, notes]: [string[], string[]] = [[], []];
  // Of a namespace of its own everything must be known before it can be called empty.
  const hidden = unreadable
    .filter((one) => one.reason === 'Forbidden' && (own.has(one.namespace) || wasMade(run, one)))
    .map(({ message }) => message);
  const ours = orderForDelete(items).filter(({ type }) => {
    return !isClaim(type) && whyKindExcluded(type.group, type.kind) === undefined;
  });
  await eachOfKind(objectsOf(run, ours), async (object) => {
    const name = nameText(nameOf(object));
    const editors = editorsOf(object);
    if (editors.length > 0) {
      notes.push(`${name} stays: ${editors.join(', ')} has changed it since.`);
      return;
    }
    const type = await typeOf(discovery, object);
    await removeOne(run, type, object);
    left.push(name);
  });
  return { left, notes, hidden };
}

/** A kind that may not be listed, and never could be, has nothing of this replication. */
function wasMade({ replication }: Run, { group, plural }: Unreadable): boolean {
  const name = group === '' ? plural : `${plural}.${group}`;
  const counts = replication.status?.resources ?? [];
  return counts.some(({ resource }) => resource === name);
}

/** Those that carry the mark, whole; a kind and namespace is read page by page. */
async function* objectsOf(run: Run, items: readonly Item[]): AsyncGenerator<KubeObject> {
  for await (const { object } of readItems(run.destination.client, items)) {
    if (isOurs(run, object)) yield object;
  }
}

const isClaim = ({ group, plural }: ResourceType): boolean =>
  group === '' && plural === persistentVolumeClaims.plural;

async function removeOne(run: Run, type: ResourceType, object: KubeObject): Promise<void> {
  if (object.metadata.deletionTimestamp !== undefined) return;
  const { client } = run.destination;
  const isSet = type.plural === statefulSets.plural && type.group === statefulSets.group;
  // Claims that the set made by itself have data that was never replicated.
  if (isSet) await keepClaimsOf(client, object as StatefulSet);
  const { uid = '' } = object.metadata;
  await client.delete(type, keyOf(object), { uid, propagation: 'Background' });
}

/** With their data, unless somebody uses them still. */
async function removeClaims(run: Run): Promise<Removal> {
  const { client } = run.destination;
  const [left, notes]: [string[], string[]] = [[], []];
  for (const namespace of namespacesAt(run, 'destination')) {
    const ours: PersistentVolumeClaim[] = [];
    await lookAtAll(
      client,
      persistentVolumeClaims,
      (claim) => void (isOurs(run, claim) && ours.push(claim)),
      { namespace },
    );
    for (const claim of ours) {
      const text = `claim ${keyText(keyOf(claim))}`;
      const holder = await stayingHolder(run, claim);
      if (holder !== undefined) {
        notes.push(`C${text.slice(1)} stays with its data: ${holder} uses it.`);
        continue;
      }
      left.push(text);
      await removeClaim(run, claim);
    }
  }
  left.push(...(await removeVolumes(run)));
  return { left, notes };
}

/** A pod that uses it and does not go; those of what was just deleted hold it for a while yet. */
async function stayingHolder(run: Run, claim: PersistentVolumeClaim): Promise<string | undefined> {
  if (claim.metadata.deletionTimestamp !== undefined) return undefined;
  const { client } = run.destination;
  const { namespace = '', name = '' } = claim.metadata;
  const users: Pod[] = [];
  await lookAtAll(
    client,
    pods,
    (pod) => {
      const uses = claimsOfPodSpec(valueAt(pod, ['spec'])).some((use) => use.claim === name);
      if (uses && !hasEnded(pod)) users.push(pod);
    },
    { namespace },
  );
  for (const pod of users) {
    if (!(await isLeaving(run, pod))) return `pod ${keyText(keyOf(pod))}`;
  }
  return undefined;
}

/** It, or what made it, is being deleted or gone: the cluster collects the rest by itself. */
async function isLeaving({ destination }: Run, first: KubeObject): Promise<boolean> {
  const { client } = destination;
  const discovery = createDiscovery(client);
  for (let at = first; ; ) {
    if (at.metadata.deletionTimestamp !== undefined) return true;
    const owner = at.metadata.ownerReferences?.find(({ controller }) => controller === true);
    const type = owner && (await discovery.find(groupOf(owner.apiVersion), owner.kind));
    if (owner === undefined || type === undefined) return false;
    const { namespace = '' } = at.metadata;
    const found = await client.get<KubeObject>(type, { namespace, name: owner.name });
    if (found?.metadata.uid !== owner.uid || found === undefined) return true;
    at = found;
  }
}

async function removeClaim(run: Run, claim: PersistentVolumeClaim): Promise<void> {
  const { client } = run.destination;
  const key = { namespace: '', name: claim.spec?.volumeName ?? '' };
  const volume = key.name === '' ? undefined : await client.get(persistentVolumes, key);
  if (volume?.spec?.claimRef?.uid === claim.metadata.uid && volume !== undefined) {
    await condemn(run, key.name, volume.metadata.resourceVersion);
  }
  if (claim.metadata.deletionTimestamp !== undefined) return;
  const { uid = '' } = claim.metadata;
  await client.delete(persistentVolumeClaims, keyOf(claim), { uid });
}

async function condemn(run: Run, name: string, version = ''): Promise<void> {
  const key = { namespace: '', name };
  await run.destination.client.patch(persistentVolumes, key, {
    metadata: { resourceVersion: version },
    spec: { persistentVolumeReclaimPolicy: 'Delete' },
  });
}

/** Those that nobody claims: half made, or let go by a run that was interrupted. */
async function removeVolumes(run: Run): Promise<readonly string[]> {
  const { client } = run.destination;
  const left: string[] = [];
  const found: { name: string; version: string | undefined; isFree: boolean; isDelete: boolean }[] =
    [];
  await visit(client, persistentVolumes, (volume) => {
    if (!isOurs(run, volume)) return;
    const { name = '', resourceVersion } = volume.metadata;
    const isFree = volume.status?.phase !== 'Bound';
    const isDelete = volume.spec?.persistentVolumeReclaimPolicy === 'Delete';
    found.push({ name, version: resourceVersion, isFree, isDelete });
  });
  for (const { name, version, isFree, isDelete } of found) {
    if (!isFree) continue;
    left.push(`PersistentVolume ${name}`);
    if (!isDelete) await condemn(run, name, version);
  }
  return left;
}

/**
 * What was made for it outside the namespaces, unless others have come to use it. What may not be
 * listed here was told by `missingLooks` if anything of it can be there.
 */
async function removeOutside(run: Run): Promise<readonly string[]> {
  const { client } = run.destination;
  const notes: string[] = [];
  const definitions: KubeObject[] = [];
  await visit(client, customResourceDefinitions, (one) => {
    if (isOurs(run, one)) definitions.push(one);
  });
  for (const one of definitions) {
    const served = await createDiscovery(client).resources();
    const type = served.find(({ group, plural }) => `${plural}.${group}` === one.metadata.name);
    let count = 0;
    if (type !== undefined) await lookAtAll(client, type, () => void (count += 1));
    if (count > 0) notes.push(`Definition ${one.metadata.name} stays: there are ${count} of it.`);
    else await client.delete(customResourceDefinitions, keyOf(one as never), {});
  }
  const used = new Set<string>();
  await visit(client, ourVolumes, ({ spec }) => void used.add(spec.historyPolicy ?? ''));
  const policies: KubeObject[] = [];
  await visit(client, historyPolicies, (one) => void (isOurs(run, one) && policies.push(one)));
  for (const one of policies) {
    const { name = '' } = one.metadata;
    if (used.has(name)) notes.push(`History policy ${name} stays: volumes use it.`);
    else await client.delete(historyPolicies, { namespace: '', name });
  }
  return notes;
}
