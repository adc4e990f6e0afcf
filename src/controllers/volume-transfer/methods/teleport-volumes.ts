/** Volumes at the destination that copies of one claim make. */
import { teleports } from '../../../api/kinds/teleport.ts';
import { type Volume, volumes } from '../../../api/kinds/volume.ts';
import type { Undoing } from '../../../flow/step.ts';
import { keyOf } from '../../../kube/objects.ts';
import { persistentVolumes } from '../../../kube/resources.ts';
import { labels } from '../../labels.ts';
import { removeOnce, unmakeBound } from '../bound.ts';
import { migrationOf, ownNameOf, stageOf } from '../marks.ts';
import type { Transfer } from '../method.ts';

export function volumeAt({ object, destination }: Transfer): Promise<Volume | undefined> {
  return destination.client.get(volumes, { namespace: '', name: ownNameOf(object) });
}

/** Takes the volume away, and before it what is bound to it. */
export async function discardVolume(transfer: Transfer): Promise<Undoing> {
  const unbound = await unmakeBound(transfer);
  if (unbound.kind !== 'done') return unbound;
  const volume = await volumeAt(transfer);
  if (volume === undefined) return { kind: 'done' };
  await removeOnce(transfer.destination.client, volumes, volume);
  return { kind: 'running', message: `volume ${volume.metadata.name} is being deleted` };
}

/** So that the next copies find it, whatever becomes of this one's objects. */
export async function markStage({ object, destination }: Transfer, volume: Volume | undefined) {
  if (volume === undefined || volume.metadata.deletionTimestamp !== undefined) return;
  const stage = stageOf(object);
  if (volume.metadata.labels?.[labels.stage] === stage) return;
  const { uid } = volume.metadata;
  const marks = { metadata: { uid, labels: { [labels.stage]: stage } } };
  await destination.client.patch(volumes, keyOf(volume), marks);
}

/** Volumes of earlier passes over the same claim: all they had is in this one. */
export async function replaceOlder(transfer: Transfer, newest: Volume | undefined): Promise<void> {
  const { context, object, destination } = transfer;
  if (newest === undefined) return;
  const migration = await migrationOf(context, object);
  // A rehearsal goes as a whole, and the next stage would have nothing to start from.
  if (migration?.spec.type === 'Rehearsal' && object.spec.pass === 'Last') return;
  const newestMs = Date.parse(newest.metadata.creationTimestamp ?? '');
  const { client } = destination;
  const selectors = { labels: `${labels.stage}=${stageOf(object)}` };
  for await (const volume of client.list(volumes, selectors)) {
    const ageMs = newestMs - Date.parse(volume.metadata.creationTimestamp ?? '');
    if (volume.metadata.uid === newest.metadata.uid || !(ageMs >= 0)) continue;
    if ((await client.get(persistentVolumes, keyOf(volume))) !== undefined) continue;
    // In this order: the volume is what leads to both.
    await forgetTeleport(transfer, volume);
    await removeOnce(client, volumes, volume);
  }
}

async function forgetTeleport({ context }: Transfer, { metadata }: Volume): Promise<void> {
  const uid = metadata.labels?.[labels.teleport] ?? '';
  const [teleport] = context.informers.teleports.byIndex('uid', uid);
  if (teleport !== undefined) await removeOnce(context.client, teleports, teleport);
}

export async function hasClaim({ object, destination }: Transfer): Promise<boolean> {
  const name = ownNameOf(object);
  return (await destination.client.get(persistentVolumes, { namespace: '', name })) !== undefined;
}
