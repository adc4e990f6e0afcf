/** Volumes of a backup under claims of the cluster that it is restored in. */
import { type Volume, volumes } from '../../../api/kinds/volume.ts';
import { unlessThere } from '../../../base/errors.ts';
import { exactSize } from '../../../base/units.ts';
import type { KubeClient } from '../../../kube/api.ts';
import { keyText, type ObjectKey } from '../../../kube/objects.ts';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  type StorageClass,
} from '../../../kube/resources.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { fsTypeOf, persistentVolumeOf } from '../../claim/made.ts';
import { annotations, driver } from '../../labels.ts';
import { nameThere, uidOf } from '../../migration/run.ts';
import { defaultClass } from '../../plan/volumes.ts';
import type { ClusterAccess } from '../../remotes/access.ts';
import { inheritedFrom } from '../../volume-transfer/marks.ts';
import type { ReplicationRun } from '../as-plan.ts';
import type { BackupVolume } from './content.ts';
import { hashOf } from './versions.ts';

type Run = ReplicationRun;

/** Undefined: the cluster has no class of ours. */
export function classFor(
  { classes }: ClusterAccess,
  wanted: string | undefined,
): StorageClass | undefined {
  const ours = [...classes.list()].filter(({ provisioner }) => provisioner === driver);
  const isDefault = ({ metadata }: StorageClass) => metadata.annotations?.[defaultClass] === 'true';
  return ours.find(({ metadata }) => metadata.name === wanted) ?? ours.find(isDefault) ?? ours[0];
}

const nameOf = ({ replication }: Run, { namespace, claim }: BackupVolume): string =>
  `rr-${uidOf(replication)}-${hashOf(namespace, claim)}`;

export function volumeOf(run: Run, saved: BackupVolume): Promise<Volume | undefined> {
  return run.destination.client.get(volumes, { namespace: '', name: nameOf(run, saved) });
}

export const keyThere = (run: Run, { namespace, claim }: BackupVolume): ObjectKey => ({
  namespace: nameThere(run, namespace),
  name: claim,
});

export function claimThere(run: Run, saved: BackupVolume) {
  return run.destination.client.get(persistentVolumeClaims, keyThere(run, saved));
}

export function isMadeFor(run: Run, claim: PersistentVolumeClaim | undefined): boolean {
  return claim?.metadata.annotations?.[preparedFor] === uidOf(run.replication);
}

const marksOf = (run: Run, key: ObjectKey) => ({
  [preparedFor]: uidOf(run.replication),
  [annotations.madeFor]: keyText(key),
});

/** The claim as the backup has it. */
function claimBefore(run: Run, { namespace, claim: name }: BackupVolume) {
  return run.source.client.get(persistentVolumeClaims, { namespace, name });
}

/** It can be used when it is `Ready`, before its data has come. */
export async function openVolume(run: Run, saved: BackupVolume, cluster: string): Promise<void> {
  const { repository = '', bandwidth } = run.replication.spec;
  const before = await claimBefore(run, saved);
  const storageClass = classFor(run.destination, before?.spec?.storageClassName);
  const policy = storageClass?.parameters?.['historyPolicy'];
  const from = { cluster, volume: saved.volume, snapshot: saved.version, repository };
  const rate = bandwidth === undefined ? {} : { bandwidth };
  const annotated = marksOf(run, keyThere(run, saved));
  await unlessThere(
    run.destination.client.create<Volume>(volumes, {
      metadata: { name: nameOf(run, saved), annotations: annotated },
      spec: {
        source: { teleport: { ...from, ...rate } },
        ...(policy === undefined ? {} : { historyPolicy: policy }),
      },
    }),
  );
}

/** First the PersistentVolume, which names the claim. */
export async function claimVolume(run: Run, saved: BackupVolume, volume: Volume): Promise<void> {
  const { client } = run.destination;
  const before = await claimBefore(run, saved);
  const key = keyThere(run, saved);
  const storageClass = classFor(run.destination, before?.spec?.storageClassName);
  const volumeMode = before?.spec?.volumeMode ?? 'Filesystem';
  const accessModes = before?.spec?.accessModes ?? ['ReadWriteOnce'];
  const storageClassName = storageClass?.metadata.name ?? '';
  const sizeBytes = volume.status?.sizeBytes ?? saved.bytes;
  const made = persistentVolumeOf({
    name: nameOf(run, saved),
    sizeBytes,
    claim: key,
    accessModes,
    volumeMode,
    storageClassName,
    storageClass,
  });
  const marks = marksOf(run, key);
  // The blocks bring their file system along, whatever the class would make.
  const fsType = saved.fsType ?? fsTypeOf(storageClass);
  const csi = { driver, volumeHandle: nameOf(run, saved) };
  await unlessThere(
    client.create<PersistentVolume>(persistentVolumes, {
      metadata: {
        ...made.metadata,
        annotations: { ...made.metadata.annotations, ...marks },
      },
      spec: {
        ...made.spec,
        persistentVolumeReclaimPolicy: 'Retain',
        csi: volumeMode === 'Block' ? csi : { ...csi, fsType },
      },
    }),
  );
  const kept = before === undefined ? { labels: {}, annotations: {} } : inheritedFrom(before);
  await unlessThere(
    client.create<PersistentVolumeClaim>(persistentVolumeClaims, {
      metadata: {
        ...key,
        labels: kept.labels,
        annotations: { ...kept.annotations, ...marks },
      },
      spec: {
        accessModes,
        volumeMode,
        storageClassName,
        volumeName: nameOf(run, saved),
        resources: { requests: { storage: exactSize(sizeBytes) } },
      },
    }),
  );
}

/** Volumes that were opened and never came under a claim. Returns what is still there. */
export async function removeUnclaimed(client: KubeClient, uid: string): Promise<readonly string[]> {
  const left: string[] = [];
  for await (const { metadata } of client.list(volumes)) {
    if (metadata.annotations?.[preparedFor] !== uid) continue;
    left.push(`Volume ${metadata.name}`);
    if (metadata.deletionTimestamp !== undefined) continue;
    await client.delete(volumes, { namespace: '', name: metadata.name ?? '' });
  }
  return left;
}
