/** Single changes of volumes and claims. Each looks first, and may be done again at any time. */
import { fail, TransshipError } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import { type KubeObject, keyOf, keyText, type ObjectKey } from '../kube/objects.ts';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../kube/resources.ts';
import { pods } from '../kube/workloads.ts';
import { createDiscovery } from '../kube/discovery.ts';
import { fieldsAt, valueAt } from './fields.ts';
import { groupOf } from './names.ts';
import { claimsOfPodSpec } from './pod-specs.ts';
import { findWriters } from './quiesce-run.ts';
import { reservation, type VolumeBefore } from './rebind.ts';
import { type WaitOptions, waitUntil } from './rebind-wait.ts';

/** Somebody may be quicker so many times in a row. */
const conflictsMax = 5;

/** Repeats what was in the way of somebody else's change. */
export async function despiteConflicts<T>(act: () => Promise<T>): Promise<T> {
  for (let again = 0; ; again++) {
    try {
      return await act();
    } catch (error) {
      const isConflict = error instanceof TransshipError && error.reason === 'Conflict';
      if (!isConflict || again >= conflictsMax) throw error;
    }
  }
}

/** The volume that was meant, or `NotFound`. */
export async function readVolume(
  client: KubeClient,
  { name, uid }: VolumeBefore,
): Promise<PersistentVolume> {
  const volume = await client.get(persistentVolumes, { namespace: '', name });
  if (volume?.metadata.uid === uid) return volume;
  const what = volume === undefined ? 'is gone' : 'was replaced by another of that name';
  return fail('NotFound', `volume ${name} ${what}`);
}

async function changeVolume(
  client: KubeClient,
  before: VolumeBefore,
  specFor: (volume: PersistentVolume) => object | undefined,
): Promise<void> {
  await despiteConflicts(async () => {
    const volume = await readVolume(client, before);
    const spec = specFor(volume);
    if (spec === undefined) return;
    const { resourceVersion } = volume.metadata;
    const key = { namespace: '', name: before.name };
    await client.patch(persistentVolumes, key, { metadata: { resourceVersion }, spec });
  });
}

export function setReclaimPolicy(
  client: KubeClient,
  before: VolumeBefore,
  policy: VolumeBefore['reclaimPolicy'],
): Promise<void> {
  return changeVolume(client, before, ({ spec }) =>
    spec?.persistentVolumeReclaimPolicy === policy
      ? undefined
      : { persistentVolumeReclaimPolicy: policy },
  );
}

/** Bound to the claim of that name already, or free for it and for nobody else. */
export function reserveVolume(
  client: KubeClient,
  before: VolumeBefore,
  to: ObjectKey,
  boundUid: string | undefined,
): Promise<void> {
  return changeVolume(client, before, ({ spec }) => {
    const { namespace = '', name = '', uid = '' } = spec?.claimRef ?? {};
    const isFor = keyText({ namespace, name }) === keyText(to);
    if (isFor && (uid === '' || uid === boundUid)) return undefined;
    return { claimRef: reservation(to) };
  });
}

/** As it was when nobody held it. */
export function putBackClaimRef(client: KubeClient, before: VolumeBefore): Promise<void> {
  return changeVolume(client, before, ({ spec }) => {
    const { claimRef } = before;
    const current = spec?.claimRef ?? null;
    if (current?.uid === claimRef?.uid && current?.name === claimRef?.name) return undefined;
    return { claimRef };
  });
}

/** Pods that have not ended count, readers too; and nodes to which a volume is attached. */
export async function findHolders(
  client: KubeClient,
  claims: readonly ObjectKey[],
): Promise<readonly string[]> {
  const names = new Set(claims.map(keyText));
  const holders: string[] = [];
  for (const namespace of new Set(claims.map((one) => one.namespace))) {
    for await (const pod of client.list<KubeObject>(pods, { namespace })) {
      const phase = fieldsAt(pod, 'status')['phase'];
      if (phase === 'Succeeded' || phase === 'Failed') continue;
      const used = claimsOfPodSpec(valueAt(pod, ['spec']))
        .map(({ claim }) => `${namespace}/${claim}`)
        .find((one) => names.has(one));
      if (used !== undefined) holders.push(`claim ${used} is held by pod ${keyText(keyOf(pod))}`);
    }
  }
  if (holders.length > 0) return holders;
  const writers = await findWriters(client, names);
  return writers.map(({ claim, holder }) => `claim ${claim} is held by ${holder}`);
}

/** `InUse` names everybody who uses one of the claims. */
export async function proveUnused(client: KubeClient, claims: readonly ObjectKey[]): Promise<void> {
  const holders = await findHolders(client, claims);
  if (holders.length > 0) fail('InUse', holders.join('; '));
}

/** This incarnation and no other. Resolves when it is gone. */
export async function removeClaim(
  client: KubeClient,
  claim: PersistentVolumeClaim,
  options: WaitOptions,
): Promise<void> {
  const key = keyOf(claim);
  const { uid = '' } = claim.metadata;
  const current = await client.get(persistentVolumeClaims, key);
  if (current?.metadata.uid !== uid) return;
  if (current.metadata.deletionTimestamp === undefined) {
    await proveUnused(client, [key]);
    await client.delete(persistentVolumeClaims, key, { uid });
  }
  await waitUntil(
    client,
    async () => {
      const left = await client.get(persistentVolumeClaims, key);
      if (left?.metadata.uid !== uid) return undefined;
      const [holder] = await findHolders(client, [key]);
      const { finalizers = [] } = left.metadata;
      return holder ?? `claim ${keyText(key)} waits for ${finalizers.join(', ')}`;
    },
    options,
  );
}

/** Without owners that are gone: the garbage collector would take the claim at once. */
export async function withLivingOwners(
  client: KubeClient,
  claim: PersistentVolumeClaim,
): Promise<PersistentVolumeClaim> {
  const { ownerReferences = [], namespace = '' } = claim.metadata;
  if (ownerReferences.length === 0) return claim;
  const discovery = createDiscovery(client);
  const living = [];
  for (const owner of ownerReferences) {
    const type = await discovery.find(groupOf(owner.apiVersion), owner.kind);
    if (type === undefined) continue;
    const key = { namespace: type.namespaced ? namespace : '', name: owner.name };
    const found = await client.get<KubeObject>(type, key);
    const isEnding = found?.metadata.deletionTimestamp !== undefined;
    if (found?.metadata.uid === owner.uid && !isEnding) living.push(owner);
  }
  return { ...claim, metadata: { ...claim.metadata, ownerReferences: living } };
}

/** Makes the claim unless it is there on its volume; `Conflict` when another has its name. */
export async function makeClaim(client: KubeClient, claim: PersistentVolumeClaim): Promise<void> {
  const key = keyOf(claim);
  const volumeName = claim.spec?.volumeName;
  const current = await client.get(persistentVolumeClaims, key);
  if (current === undefined) {
    try {
      await client.create(persistentVolumeClaims, await withLivingOwners(client, claim));
      return;
    } catch (error) {
      if (!(error instanceof TransshipError) || error.reason !== 'AlreadyExists') throw error;
      return makeClaim(client, claim);
    }
  }
  if (current.metadata.deletionTimestamp !== undefined) {
    fail('Conflict', `claim ${keyText(key)} is being deleted by somebody else`);
  }
  if (current.spec?.volumeName === volumeName) return;
  fail(
    'Conflict',
    `claim ${keyText(key)} was made by somebody else meanwhile; delete it, then go on`,
  );
}

/** Both sides name each other. */
export async function waitBound(
  client: KubeClient,
  key: ObjectKey,
  volume: VolumeBefore,
  options: WaitOptions,
): Promise<void> {
  await waitUntil(
    client,
    async () => {
      const claim = await client.get(persistentVolumeClaims, key);
      const { claimRef } = (await readVolume(client, volume)).spec ?? {};
      const isBound = claim?.status?.phase === 'Bound' && claim.spec?.volumeName === volume.name;
      if (isBound && claimRef?.uid === claim.metadata.uid) return undefined;
      const phase = claim?.status?.phase ?? (claim === undefined ? 'gone' : 'Pending');
      return `claim ${keyText(key)} is ${phase}; it waits for volume ${volume.name}`;
    },
    options,
  );
}
