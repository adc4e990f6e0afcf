/**
 * Teleport within one cluster: the volume is cloned. Nothing is copied and nothing travels, so
 * there is nothing to do ahead of time.
 */
import { type Volume, volumes } from '../../../api/kinds/volume.ts';
import type { Undoing } from '../../../flow/step.ts';
import { persistentVolumes } from '../../../kube/resources.ts';
import { handleOf } from '../../claim/made.ts';
import { conditionOf, isTrue } from '../../status.ts';
import { endingOf } from '../report.ts';
import { checkClaimFree, claimOf, makeOwn, removeOnce, unmakeBound } from '../bound.ts';
import { sourceClaimOf, targetClaimOf } from '../choose.ts';
import { isMadeBy, marksOf, moveIdOf, ownNameOf } from '../marks.ts';
import type { Advance, Transfer, TransferMethod } from '../method.ts';
import { claimVolume } from './teleport-claim.ts';

export const cloneMethod: TransferMethod = { advance, clean, discard };

async function advance(transfer: Transfer): Promise<Advance> {
  const { object, destination } = transfer;
  if (object.spec.pass !== 'Last') return { kind: 'succeeded', numbers: { percent: 100 } };
  const found = await ownVolume(transfer);
  if (found === undefined) {
    if (object.spec.paused === true) return running('it begins when spec.paused is false');
    await checkClaimFree(transfer);
    await makeClone(transfer);
    return running('the volume is cloned');
  }
  if (!isTrue(found, 'Ready')) {
    const { message = '' } = conditionOf(found, 'Ready') ?? {};
    return running(message === '' ? 'the volume is cloned' : message);
  }
  await claimVolume(transfer, found);
  const claim = await claimOf(destination, object);
  if (claim?.status?.phase !== 'Bound') return running('the claim is being bound');
  const bytes = found.status?.usage?.logicalBytes;
  const counted = bytes === undefined ? {} : { totalBytes: bytes, copiedBytes: bytes };
  const numbers = { percent: 100, wireBytes: 0, ...counted };
  const unproven = 'a clone has the very blocks of its source; nothing was compared';
  const warnings = object.spec.verify === true ? [unproven] : [];
  return { kind: 'succeeded', volume: ownNameOf(object), numbers, warnings };
}

function running(message: string): Advance {
  return { kind: 'running', message, numbers: {} };
}

async function ownVolume({ object, destination }: Transfer): Promise<Volume | undefined> {
  const found = await destination.client.get(volumes, { namespace: '', name: ownNameOf(object) });
  return isMadeBy(object, found) ? found : undefined;
}

async function makeClone(transfer: Transfer): Promise<void> {
  const { context, object, source, destination } = transfer;
  const found = await sourceClaimOf(source, object.spec);
  const { storageClass } = targetClaimOf(transfer, found);
  const historyPolicy = storageClass?.parameters?.['historyPolicy'];
  await makeOwn<Volume>(object, destination.client, volumes, {
    metadata: {
      name: ownNameOf(object),
      annotations: marksOf(object, await moveIdOf(context, object)),
    },
    spec: {
      source: { clone: { volume: handleOf(found.volume) } },
      ...(historyPolicy === undefined ? {} : { historyPolicy }),
    },
  });
}

/** A clone that no PersistentVolume stands for is of no use to anybody. */
async function clean(transfer: Transfer): Promise<Undoing> {
  const { object, destination } = transfer;
  if (endingOf(object) === 'Succeeded') return { kind: 'done' };
  const found = await ownVolume(transfer);
  const key = { namespace: '', name: ownNameOf(object) };
  const bound = await destination.client.get(persistentVolumes, key);
  if (found === undefined || bound !== undefined) return { kind: 'done' };
  await removeOnce(destination.client, volumes, found);
  return { kind: 'running', message: `volume ${key.name} is being deleted` };
}

async function discard(transfer: Transfer): Promise<Undoing> {
  const unbound = await unmakeBound(transfer);
  if (unbound.kind !== 'done') return unbound;
  const found = await ownVolume(transfer);
  if (found === undefined) return { kind: 'done' };
  await removeOnce(transfer.destination.client, volumes, found);
  return { kind: 'running', message: `volume ${ownNameOf(transfer.object)} is being deleted` };
}
