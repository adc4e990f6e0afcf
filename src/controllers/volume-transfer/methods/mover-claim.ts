/** The claim at the destination: made once, and never taken from anybody. */
import { asTransshipError, fail } from '../../../base/errors.ts';
import { exactSize } from '../../../base/units.ts';
import type { Undoing } from '../../../flow/step.ts';
import { keyOf, keyText } from '../../../kube/objects.ts';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../../kube/resources.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { annotations } from '../../labels.ts';
import { sourceClaimOf, targetClaimOf } from '../choose.ts';
import { inheritedFrom, isMadeBy, marksOf, moveIdOf, uidOf } from '../marks.ts';
import type { Transfer } from '../method.ts';
import { claimAt } from './mover-job.ts';

/**
 * The claim to write into. `AlreadyExists` when somebody else's has the name, `ClassMismatch` when
 * it is of another mode, `InUse` while an old one goes.
 */
export async function ensureClaim(
  transfer: Transfer,
  volumeMode: 'Filesystem' | 'Block',
): Promise<PersistentVolumeClaim> {
  const { client } = transfer.destination;
  const key = claimAt(transfer, 'server');
  const what = `claim ${keyText(key)} of cluster ${transfer.destination.name}`;
  const found = await client.get(persistentVolumeClaims, key);
  if (found === undefined) return makeClaim(transfer, volumeMode);
  if (found.metadata.deletionTimestamp !== undefined) {
    fail('InUse', `${what} is being deleted; a pod that uses it holds it up`);
  }
  if ((found.spec?.volumeMode ?? 'Filesystem') !== volumeMode) {
    fail('ClassMismatch', `${what} has volumeMode ${found.spec?.volumeMode ?? 'Filesystem'}`);
  }
  const moveId = await moveIdOf(transfer.context, transfer.object);
  const isOurs = found.metadata.annotations?.[preparedFor] === moveId;
  if (transfer.object.spec.overwrite === true) return tear(transfer, found);
  if (isOurs) return found;
  const way = 'delete it, choose another name in the plan, or set overwrite';
  return fail('AlreadyExists', `${what} was not made for this move, and stays as it is: ${way}`);
}

async function makeClaim(
  transfer: Transfer,
  volumeMode: 'Filesystem' | 'Block',
): Promise<PersistentVolumeClaim> {
  const { object, context, source, destination } = transfer;
  const found = await sourceClaimOf(source, object.spec);
  const target = targetClaimOf(transfer, found);
  if (target.volumeMode !== volumeMode) {
    fail('Unsupported', `this method makes no claims with volumeMode ${target.volumeMode}`);
  }
  const { storageClassName } = target;
  const kept = inheritedFrom(found.claim);
  const moveId = await moveIdOf(context, object);
  const isAhead = object.spec.pass === 'Ahead' && object.spec.migration !== undefined;
  const staged = isAhead ? { [annotations.staged]: moveId } : {};
  const made: Pick<PersistentVolumeClaim, 'metadata' | 'spec'> = {
    metadata: {
      namespace: target.namespace,
      name: target.name,
      labels: kept.labels,
      annotations: { ...kept.annotations, ...staged, ...marksOf(object, moveId) },
    },
    spec: {
      accessModes: target.accessModes,
      volumeMode,
      resources: { requests: { storage: exactSize(target.bytes) } },
      ...(storageClassName === '' ? {} : { storageClassName }),
    },
  };
  try {
    return await destination.client.create<PersistentVolumeClaim>(persistentVolumeClaims, made);
  } catch (error) {
    // Since we looked somebody made it: perhaps we did, and did not hear the answer.
    if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
    return fail('Conflict', `claim ${keyText(claimAt(transfer, 'server'))} has just been made`);
  }
}

/** Written down before the first byte: from now on its content is of two volumes. */
async function tear(
  transfer: Transfer,
  claim: PersistentVolumeClaim,
): Promise<PersistentVolumeClaim> {
  const uid = uidOf(transfer.object);
  if (claim.metadata.annotations?.[annotations.torn] === uid) return claim;
  const { client } = transfer.destination;
  const { resourceVersion } = claim.metadata;
  const change = { metadata: { resourceVersion, annotations: { [annotations.torn]: uid } } };
  return client.patch(persistentVolumeClaims, keyOf(claim), change);
}

/**
 * Marks the volume under the claim; after the last pass it stays whatever happens to its claim,
 * and is whole. Returns its name. `InUse` when the claim is gone or lost its volume.
 */
export async function settleClaim(transfer: Transfer): Promise<string> {
  const { object, context } = transfer;
  const { client } = transfer.destination;
  const key = claimAt(transfer, 'server');
  const claim = await client.get(persistentVolumeClaims, key);
  const name = claim?.spec?.volumeName ?? '';
  if (claim === undefined || name === '') {
    return fail('InUse', `claim ${keyText(key)} was taken away while it was copied`);
  }
  const moveId = await moveIdOf(context, object);
  const isLast = object.spec.pass === 'Last';
  // What is written over somebody's data stays theirs.
  const own = object.spec.overwrite === true ? {} : { [preparedFor]: moveId };
  const marks = isMadeBy(transfer.object, claim) ? marksOf(object, moveId) : own;
  const spec = isLast ? { spec: { persistentVolumeReclaimPolicy: 'Retain' } } : {};
  await client.patch(
    persistentVolumes,
    { namespace: '', name },
    { metadata: { annotations: marks }, ...spec },
  );
  if (isLast) {
    const notes = { ...own, [annotations.torn]: null };
    await client.patch(persistentVolumeClaims, key, { metadata: { annotations: notes } });
  }
  return name;
}

/** Takes away the claim that this very transfer made, with its volume. */
export async function discardClaim(transfer: Transfer): Promise<Undoing> {
  const { client } = transfer.destination;
  const key = claimAt(transfer, 'server');
  const claim = await client.get(persistentVolumeClaims, key);
  const mine = isMadeBy(transfer.object, claim) ? claim : undefined;
  const volumeName = mine?.spec?.volumeName ?? '';
  if (volumeName !== '') {
    const marks = marksOf(transfer.object, await moveIdOf(transfer.context, transfer.object));
    const volume = await client.get(persistentVolumes, { namespace: '', name: volumeName });
    if (volume !== undefined) await condemn(transfer, volume, marks);
  }
  if (mine !== undefined) {
    if (mine.metadata.deletionTimestamp === undefined) {
      const { uid } = mine.metadata;
      await client.delete(persistentVolumeClaims, key, uid === undefined ? {} : { uid });
    }
    return { kind: 'running', message: `claim ${keyText(key)} is being deleted` };
  }
  return volumesGone(transfer);
}

/** From now on the storage system removes it when its claim goes. */
async function condemn(
  { destination }: Transfer,
  volume: PersistentVolume,
  marks: Readonly<Record<string, string>>,
): Promise<void> {
  const isMarked = Object.entries(marks).every(
    ([name, value]) => volume.metadata.annotations?.[name] === value,
  );
  if (isMarked && volume.spec?.persistentVolumeReclaimPolicy === 'Delete') return;
  await destination.client.patch(persistentVolumes, keyOf(volume), {
    metadata: { annotations: marks },
    spec: { persistentVolumeReclaimPolicy: 'Delete' },
  });
}

async function volumesGone({ object, destination }: Transfer): Promise<Undoing> {
  for await (const volume of destination.client.list(persistentVolumes)) {
    if (!isMadeBy(object, volume)) continue;
    const name = volume.metadata.name ?? '';
    const { phase, message = '' } = volume.status ?? {};
    if (phase !== 'Failed') {
      return { kind: 'running', message: `volume ${name} is being deleted by its storage` };
    }
    const remedy = 'Delete the PersistentVolume and what it stands for by hand.';
    return { kind: 'waiting', message: `volume ${name} cannot be deleted: ${message}`, remedy };
  }
  return { kind: 'done' };
}
