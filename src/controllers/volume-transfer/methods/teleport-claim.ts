/** The claim on a volume of the engine that a transfer made. */
import type { Volume } from '../../../api/kinds/volume.ts';
import { exactSize } from '../../../base/units.ts';
import { fsTypeOf, persistentVolumeOf } from '../../claim/made.ts';
import { driver } from '../../labels.ts';
import { checkClaimFree, claimOf, makeBound } from '../bound.ts';
import { sourceClaimOf, targetClaimOf } from '../choose.ts';
import { isMadeBy, moveIdOf, ownNameOf } from '../marks.ts';
import type { Transfer } from '../method.ts';

/** A claim on a Volume that a transfer made, and the PersistentVolume between both. */
export async function claimVolume(transfer: Transfer, volume: Volume): Promise<void> {
  const { context, object, source, destination } = transfer;
  const there = await claimOf(destination, object);
  if (isMadeBy(object, there)) return;
  await checkClaimFree(transfer);
  const found = await sourceClaimOf(source, object.spec);
  const target = targetClaimOf(transfer, found);
  const made = persistentVolumeOf({
    name: ownNameOf(object),
    sizeBytes: volume.status?.sizeBytes ?? target.bytes,
    claim: { namespace: target.namespace, name: target.name },
    accessModes: target.accessModes,
    volumeMode: target.volumeMode,
    storageClassName: target.storageClassName,
    storageClass: target.storageClass,
  });
  // The blocks bring their file system along, whatever the new class would make.
  const fsType = found.volume.spec?.csi?.fsType ?? fsTypeOf(target.storageClass);
  const csi = { ...made.spec?.csi, driver, volumeHandle: ownNameOf(object) };
  const spec = { ...made.spec, csi: target.volumeMode === 'Block' ? csi : { ...csi, fsType } };
  const bytes = volume.status?.sizeBytes ?? target.bytes;
  await makeBound(transfer, {
    target: { ...target, bytes },
    volume: { ...made, spec: { ...spec, capacity: { storage: exactSize(bytes) } } },
    moveId: await moveIdOf(context, object),
    claim: found.claim,
  });
}
