/** What copies ahead of time left at the destination: volumes that shorten the next copy. */
import { teleports } from '../../api/kinds/teleport.ts';
import { type Volume, volumes } from '../../api/kinds/volume.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import { keyOf } from '../../kube/objects.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../kube/resources.ts';
import { labels } from '../labels.ts';
import { migrationsOf } from '../plan/migrations.ts';
import { removeOnce } from '../volume-transfer/bound.ts';
import { ownNameOf, stageOf } from '../volume-transfer/marks.ts';
import { namespacesAt, type Run } from './run.ts';
import { isFilling, isUnfinished, passOf } from './transfers.ts';

/**
 * For a plan of which no copy follows. Volumes that something has a PersistentVolume on stay, and
 * so do those beside which a copy still fills: it takes them away itself when it has all.
 */
export async function removeStaged(run: Run): Promise<void> {
  const { context, destination } = run;
  const { client } = destination;
  const own = await stagesOf(run);
  const copies = [...context.informers.volumeTransfers.list()];
  const names = new Set(migrationsOf(context, run.plan).map(({ metadata }) => metadata.name));
  const isOfOther = ({ metadata, spec }: VolumeTransfer): boolean => {
    const isHere = metadata.namespace === run.plan.metadata.namespace;
    return !isHere || spec.migration === undefined || !names.has(spec.migration);
  };
  for await (const volume of client.list(volumes, { labels: labels.stage })) {
    const stage = volume.metadata.labels?.[labels.stage] ?? '';
    if (!own.has(stage)) continue;
    const maker = copies.find((one) => ownNameOf(one) === volume.metadata.name);
    if (maker !== undefined && isOfOther(maker)) continue;
    if (copies.some((one) => stageOf(one) === stage && isBusy(one))) continue;
    if ((await client.get(persistentVolumes, keyOf(volume))) !== undefined) continue;
    // In this order: the volume is what leads to both.
    await forgetTeleport(run, volume);
    await removeOnce(client, volumes, volume);
  }
}

/** A stage that has succeeded has all, though it may not have counted that yet. */
function isBusy(one: VolumeTransfer): boolean {
  return isUnfinished(one) || (passOf(one) !== 'a' && isFilling(one));
}

/** Of all claims of the plan, also of those whose copies nobody knows any more. */
async function stagesOf(run: Run): Promise<ReadonlySet<string>> {
  const { source: cluster, destination } = run.plan.spec;
  const found = new Set<string>();
  for (const namespace of namespacesAt(run, 'source')) {
    for await (const { metadata } of run.source.client.list(persistentVolumeClaims, {
      namespace,
    })) {
      const source = { cluster, namespace, claim: metadata.name ?? '' };
      found.add(stageOf({ spec: { source, destination: { cluster: destination } } }));
    }
  }
  return found;
}

async function forgetTeleport({ context }: Run, { metadata }: Volume): Promise<void> {
  const uid = metadata.labels?.[labels.teleport] ?? '';
  const [teleport] = context.informers.teleports.byIndex('uid', uid);
  if (teleport !== undefined) await removeOnce(context.client, teleports, teleport);
}
