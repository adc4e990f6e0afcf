/** A PersistentVolume and the claim that it waits for, at the destination. */
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { exactSize } from '../../base/units.ts';
import type { Undoing } from '../../flow/step.ts';
import type { Draft, KubeClient } from '../../kube/api.ts';
import { keyOf, keyText, type KubeObject, type ResourceType } from '../../kube/objects.ts';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../kube/resources.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import type { TargetClaim } from './choose.ts';
import { inheritedFrom, isMadeBy, marksOf } from './marks.ts';
import type { Transfer } from './method.ts';

export interface BoundPair {
  readonly target: TargetClaim;
  /** Without `claimRef`, reclaim policy and marks, which are put in here. */
  readonly volume: Draft<PersistentVolume>;
  readonly moveId: string;
  /** Of the source. */
  readonly claim: PersistentVolumeClaim;
}

/** The claim that was asked for. */
export function claimOf(
  { client }: ClusterAccess,
  { spec }: VolumeTransfer,
): Promise<PersistentVolumeClaim | undefined> {
  const { namespace, claim: name } = spec.destination;
  return client.get(persistentVolumeClaims, { namespace, name });
}

/** `AlreadyExists` when the claim's name is taken by what this transfer did not make. */
export async function checkClaimFree({ object, destination }: Transfer): Promise<void> {
  const found = await claimOf(destination, object);
  if (found === undefined || isMadeBy(object, found)) return;
  const what = `cluster ${destination.name} has a claim ${keyText(keyOf(found))} already`;
  fail('AlreadyExists', `${what}; delete it there, or choose another name for the new one`);
}

/**
 * Makes both, first the PersistentVolume, which names the claim; Retain, so that no mistake with a
 * claim can end data. `AlreadyExists` when a name is taken.
 */
export async function makeBound(transfer: Transfer, pair: BoundPair): Promise<void> {
  const { object, destination } = transfer;
  const { target, moveId } = pair;
  const marks = marksOf(object, moveId);
  const { namespace, name, accessModes, volumeMode, storageClassName } = target;
  const { metadata, spec } = pair.volume;
  const storage = spec?.capacity?.storage ?? exactSize(target.bytes);
  await makeOwn(object, destination.client, persistentVolumes, {
    metadata: { ...metadata, annotations: { ...metadata.annotations, ...marks } },
    spec: {
      ...spec,
      accessModes: spec?.accessModes ?? accessModes,
      volumeMode,
      storageClassName,
      persistentVolumeReclaimPolicy: 'Retain',
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name },
    },
  });
  const kept = inheritedFrom(pair.claim);
  await makeOwn<PersistentVolumeClaim>(object, destination.client, persistentVolumeClaims, {
    metadata: {
      namespace,
      name,
      labels: kept.labels,
      annotations: { ...kept.annotations, ...marks },
    },
    spec: {
      accessModes,
      volumeMode,
      storageClassName,
      volumeName: metadata.name ?? '',
      resources: { requests: { storage } },
    },
  });
}

/** That there is one is success when it is ours, and `AlreadyExists` when it is not. */
export async function makeOwn<T extends KubeObject>(
  transfer: VolumeTransfer,
  client: KubeClient,
  type: ResourceType<T>,
  object: Draft<T>,
): Promise<T> {
  const { namespace = '', name = '' } = object.metadata;
  const there = await client.get(type, { namespace, name });
  if (there !== undefined && isMadeBy(transfer, there)) return there;
  try {
    return await client.create<T>(type, object);
  } catch (error) {
    if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
    const found = await client.get(type, { namespace, name });
    if (found !== undefined && isMadeBy(transfer, found)) return found;
    throw error;
  }
}

/** Takes claim and PersistentVolume away, one after the other, if this transfer made them. */
export async function unmakeBound({ object, destination }: Transfer): Promise<Undoing> {
  const { client } = destination;
  const claim = await claimOf(destination, object);
  if (claim !== undefined && isMadeBy(object, claim)) {
    await removeOnce(client, persistentVolumeClaims, claim);
    const message = `claim ${keyText(keyOf(claim))} is being deleted`;
    return { kind: 'waiting', message, remedy: 'a pod that uses it holds it up: stop it' };
  }
  for await (const volume of client.list(persistentVolumes)) {
    if (!isMadeBy(object, volume)) continue;
    await removeOnce(client, persistentVolumes, volume);
    return { kind: 'running', message: `PersistentVolume ${volume.metadata.name} is deleted` };
  }
  return { kind: 'done' };
}

/** This incarnation and no other. */
export async function removeOnce<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  object: T,
): Promise<void> {
  const { uid, deletionTimestamp } = object.metadata;
  if (deletionTimestamp !== undefined) return;
  await client.delete(type, keyOf(object), uid === undefined ? {} : { uid });
}
