/**
 * Move: nothing is copied. Network volumes such as NFS can be mounted from either cluster, so the
 * destination gets a PersistentVolume that names the same place, and a claim on it.
 */
import { persistentVolumes, type PersistentVolume } from '../../../kube/resources.ts';
import { fieldsAt, textAt } from '../../../workload/fields.ts';
import type { Undoing } from '../../../flow/step.ts';
import { keyOf } from '../../../kube/objects.ts';
import { annotations } from '../../labels.ts';
import { checkClaimFree, claimOf, makeBound, unmakeBound } from '../bound.ts';
import { sourceClaimOf, type SourceClaim, targetClaimOf } from '../choose.ts';
import { isMadeBy, moveIdOf, ownNameOf, uidOf } from '../marks.ts';
import type { Advance, Transfer, TransferMethod } from '../method.ts';

export const moveMethod: TransferMethod = { advance, clean, discard };

async function advance(transfer: Transfer): Promise<Advance> {
  const { object, context, source, destination } = transfer;
  const { pass, paused } = object.spec;
  if (pass !== 'Last') return { kind: 'succeeded', numbers: { percent: 100 } };
  const there = await claimOf(destination, object);
  const found = await sourceClaimOf(source, object.spec);
  if (!isMadeBy(object, there)) {
    if (paused === true) {
      return { kind: 'running', message: 'it begins when spec.paused is false', numbers: {} };
    }
    await checkClaimFree(transfer);
    await keepData(transfer, found.volume);
    const target = targetClaimOf(transfer, found);
    const storageClassName =
      object.spec.destination.storageClass ?? found.volume.spec?.storageClassName ?? '';
    await makeBound(transfer, {
      target: { ...target, storageClassName },
      volume: sameVolume(ownNameOf(object), found),
      moveId: await moveIdOf(context, object),
      claim: found.claim,
    });
  }
  if (there?.status?.phase !== 'Bound') {
    return { kind: 'running', message: 'the claim is being bound', numbers: {} };
  }
  const warnings = secretsOf(found.volume).map(
    (name) => `the volume is mounted with Secret ${name}, which ${destination.name} must have`,
  );
  return { kind: 'succeeded', volume: ownNameOf(object), numbers: { percent: 100 }, warnings };
}

/** Where it is and how it is mounted; node labels of one cluster mean nothing in another. */
function sameVolume(name: string, { volume }: SourceClaim) {
  const { claimRef: _claim, nodeAffinity: _nodes, ...spec } = volume.spec ?? {};
  return { metadata: { name }, spec };
}

function secretsOf(volume: PersistentVolume): readonly string[] {
  const fields = fieldsAt(volume, 'spec', 'csi');
  const names = Object.keys(fields)
    .filter((field) => field.endsWith('SecretRef'))
    .map((field) => {
      const secret = fieldsAt(volume, 'spec', 'csi', field);
      return `${textAt(secret, 'namespace') ?? ''}/${textAt(secret, 'name') ?? ''}`;
    });
  return [...new Set(names)];
}

/** From now on the other cluster uses the data: deleting the claim here must not end it. */
async function keepData({ object, source }: Transfer, volume: PersistentVolume): Promise<void> {
  const { persistentVolumeReclaimPolicy: policy = 'Retain' } = volume.spec ?? {};
  if (policy === 'Retain') return;
  const { uid, resourceVersion } = volume.metadata;
  await source.client.patch(persistentVolumes, keyOf(volume), {
    metadata: {
      uid,
      resourceVersion,
      annotations: {
        [annotations.movedBy]: uidOf(object),
        [annotations.reclaimPolicy]: policy,
      },
    },
    spec: { persistentVolumeReclaimPolicy: 'Retain' },
  });
}

async function clean(): Promise<Undoing> {
  return { kind: 'done' };
}

/** The data stays where it is; the source has it for itself again. */
async function discard(transfer: Transfer): Promise<Undoing> {
  const { object, source } = transfer;
  const unbound = await unmakeBound(transfer);
  if (unbound.kind !== 'done') return unbound;
  const { client } = source;
  for await (const volume of client.list(persistentVolumes)) {
    const { annotations: notes = {}, uid, resourceVersion } = volume.metadata;
    if (notes[annotations.movedBy] !== uidOf(object)) continue;
    const gone = { [annotations.movedBy]: null, [annotations.reclaimPolicy]: null };
    await client.patch(persistentVolumes, keyOf(volume), {
      metadata: { uid, resourceVersion, annotations: gone },
      spec: { persistentVolumeReclaimPolicy: notes[annotations.reclaimPolicy] },
    });
  }
  return { kind: 'done' };
}
