/**
 * The source of a teleport is kept by a finalizer of the teleport's own on the source Volume, from
 * before the destination asks for anything until all data is there. From `Accessible` on the
 * agents' lease keeps the data as well; so when somebody deletes a Teleport that goes on filling,
 * the finalizer is given back at once and the lease alone keeps the source.
 */
import type { Teleport } from '../../api/kinds/teleport.ts';
import { type Volume, volumes } from '../../api/kinds/volume.ts';
import { ensureFinalizer, removeFinalizer } from '../../kube/finalizers.ts';
import { sourceFinalizer } from '../labels.ts';
import type { ClusterAccess } from '../remotes/access.ts';

export async function protectSource(
  teleport: Teleport,
  { client }: ClusterAccess,
  volume: Volume,
): Promise<void> {
  await ensureFinalizer(client, volumes, volume, sourceFinalizer(teleport.metadata.uid ?? ''));
}

/** Also when the volume is gone, or was never protected. */
export async function releaseSource(teleport: Teleport, { client }: ClusterAccess): Promise<void> {
  const name = teleport.status?.sourceVolume;
  if (name === undefined) return;
  const volume = await client.get(volumes, { namespace: '', name });
  if (volume === undefined) return;
  await removeFinalizer(client, volumes, volume, sourceFinalizer(teleport.metadata.uid ?? ''));
}
