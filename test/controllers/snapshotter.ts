// A storage system whose volumes are directories: its snapshots and what is made of them are real
// copies, and it does what a CSI driver with its provisioner and snapshotter does about objects.
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Snapshot,
  snapshotClasses,
  type SnapshotContent,
  snapshotContents,
  snapshots,
} from '../../src/controllers/volume-transfer/methods/snapshot-api.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { keyOf } from '../../src/kube/objects.ts';
import {
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
} from '../../src/kube/resources.ts';

export const snapshotDriver = 'disk.example.org';
const provisionedBy = 'pv.kubernetes.io/provisioned-by';
const selectedNode = 'volume.kubernetes.io/selected-node';

export class Snapshotter {
  readonly #directory: string;
  /** What every new snapshot fails with. */
  failure: string | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** A new directory of a volume or snapshot. */
  place(name: string): string {
    const path = join(this.#directory, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  #copy(from: string, name: string): string {
    const path = join(this.#directory, name);
    if (!existsSync(path)) cpSync(from, path, { recursive: true });
    return path;
  }

  /** Everything that is to be done now. */
  async act(client: KubeClient): Promise<void> {
    for await (const one of client.list(snapshots)) await this.#snapshot(client, one);
    for await (const one of client.list(snapshotContents)) await this.#content(client, one);
    for await (const one of client.list(persistentVolumeClaims)) await this.#claim(client, one);
    await this.#reclaim(client);
  }

  async #snapshot(client: KubeClient, snapshot: Snapshot): Promise<void> {
    if (snapshot.status?.readyToUse === true) return;
    if (this.failure !== undefined) {
      const error = { message: this.failure };
      await client.patchStatus(snapshots, keyOf(snapshot), {
        status: { readyToUse: false, error },
      });
      return;
    }
    const { source } = snapshot.spec;
    const boundVolumeSnapshotContentName =
      source.volumeSnapshotContentName ?? (await this.#take(client, snapshot));
    await client.patchStatus(snapshots, keyOf(snapshot), {
      status: {
        boundVolumeSnapshotContentName,
        readyToUse: true,
        restoreSize: '1Gi',
        error: null,
      },
    });
  }

  async #take(client: KubeClient, snapshot: Snapshot): Promise<string> {
    const { namespace, name } = keyOf(snapshot);
    const claimKey = { namespace, name: snapshot.spec.source.persistentVolumeClaimName ?? '' };
    const claim = await client.get(persistentVolumeClaims, claimKey);
    const volumeKey = { namespace: '', name: claim?.spec?.volumeName ?? '' };
    const volume = await client.get(persistentVolumes, volumeKey);
    const volumeHandle = volume?.spec?.csi?.volumeHandle ?? '';
    const content = `snapcontent-${snapshot.metadata.uid}`;
    const snapshotHandle = this.#copy(volumeHandle, content);
    const classKey = { namespace: '', name: snapshot.spec.volumeSnapshotClassName ?? '' };
    const { deletionPolicy = 'Delete' } = (await client.get(snapshotClasses, classKey)) ?? {};
    await client.create<SnapshotContent>(snapshotContents, {
      metadata: { name: content },
      spec: {
        deletionPolicy,
        driver: snapshotDriver,
        source: { volumeHandle },
        volumeSnapshotRef: { kind: 'VolumeSnapshot', namespace, name },
      },
    });
    const status = { snapshotHandle, readyToUse: true };
    await client.patchStatus(snapshotContents, { namespace: '', name: content }, { status });
    return content;
  }

  /** Its snapshot is gone: so are object and data, unless they are to stay. */
  async #content(client: KubeClient, content: SnapshotContent): Promise<void> {
    const { namespace = '', name = '' } = content.spec.volumeSnapshotRef;
    if (content.spec.deletionPolicy === 'Retain') return;
    if ((await client.get(snapshots, { namespace, name })) !== undefined) return;
    rmSync(content.status?.snapshotHandle ?? '', { recursive: true, force: true });
    await client.delete(snapshotContents, keyOf(content));
  }

  async #claim(client: KubeClient, claim: PersistentVolumeClaim): Promise<void> {
    const { dataSource, volumeName, storageClassName = '', ...spec } = claim.spec ?? {};
    if (dataSource?.kind !== 'VolumeSnapshot' || (volumeName ?? '') !== '') return;
    const place = await client.get(storageClasses, { namespace: '', name: storageClassName });
    const isLate = place?.volumeBindingMode === 'WaitForFirstConsumer';
    if (isLate && claim.metadata.annotations?.[selectedNode] === undefined) return;
    const { namespace, name: claimName } = keyOf(claim);
    const snapshot = await client.get(snapshots, { namespace, name: dataSource.name });
    if (snapshot?.status?.readyToUse !== true) return;
    const contentName = snapshot.status.boundVolumeSnapshotContentName ?? '';
    const content = await client.get(snapshotContents, { namespace: '', name: contentName });
    const from = content?.spec.source.snapshotHandle ?? content?.status?.snapshotHandle ?? '';
    const name = `pvc-${claim.metadata.uid}`;
    if ((await client.get(persistentVolumes, { namespace: '', name })) !== undefined) return;
    const { uid = '' } = claim.metadata;
    await client.create(persistentVolumes, {
      metadata: { name, annotations: { [provisionedBy]: snapshotDriver } },
      spec: {
        capacity: { storage: spec.resources?.requests?.storage ?? '1Gi' },
        accessModes: spec.accessModes ?? ['ReadWriteOnce'],
        volumeMode: spec.volumeMode ?? 'Filesystem',
        storageClassName,
        persistentVolumeReclaimPolicy: 'Delete',
        claimRef: { namespace, name: claimName, uid },
        csi: { driver: snapshotDriver, volumeHandle: this.#copy(from, name) },
      },
    });
  }

  async #reclaim(client: KubeClient): Promise<void> {
    for await (const volume of client.list(persistentVolumes)) {
      const { annotations = {} } = volume.metadata;
      const isOurs = annotations[provisionedBy] === snapshotDriver;
      if (!isOurs || volume.status?.phase !== 'Released') continue;
      if (volume.spec?.persistentVolumeReclaimPolicy !== 'Delete') continue;
      rmSync(volume.spec.csi?.volumeHandle ?? '', { recursive: true, force: true });
      await client.delete(persistentVolumes, keyOf(volume));
    }
  }
}
