/** The snapshot API of CSI, `snapshot.storage.k8s.io/v1`: the fields we use. */
import type { KubeClient } from '../../../kube/api.ts';
import { createDiscovery } from '../../../kube/discovery.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import { clusterWide, namespaced } from '../../../kube/type-of.ts';

const group = 'snapshot.storage.k8s.io';
const isDefault = 'snapshot.storage.kubernetes.io/is-default-class';

export interface SnapshotClass extends KubeObject {
  readonly driver: string;
  readonly deletionPolicy: 'Delete' | 'Retain';
}

export interface Snapshot extends KubeObject {
  readonly spec: {
    readonly volumeSnapshotClassName?: string;
    readonly source: {
      readonly persistentVolumeClaimName?: string;
      readonly volumeSnapshotContentName?: string;
    };
  };
  readonly status?: {
    readonly boundVolumeSnapshotContentName?: string;
    readonly readyToUse?: boolean;
    readonly restoreSize?: string;
    readonly error?: { readonly message?: string };
  };
}

export interface SnapshotContent extends KubeObject {
  readonly spec: {
    readonly deletionPolicy: 'Delete' | 'Retain';
    readonly driver: string;
    readonly source: { readonly snapshotHandle?: string; readonly volumeHandle?: string };
    readonly sourceVolumeMode?: string;
    readonly volumeSnapshotRef: {
      readonly apiVersion?: string;
      readonly kind?: string;
      readonly namespace?: string;
      readonly name?: string;
    };
  };
  readonly status?: { readonly snapshotHandle?: string; readonly readyToUse?: boolean };
}

export const snapshotGroup = group;
const api = `${group}/v1`;

export const snapshotClasses = clusterWide<SnapshotClass>(
  api,
  'volumesnapshotclasses',
  'VolumeSnapshotClass',
);
export const snapshots = namespaced<Snapshot>(api, 'volumesnapshots', 'VolumeSnapshot');
export const snapshotContents = clusterWide<SnapshotContent>(
  api,
  'volumesnapshotcontents',
  'VolumeSnapshotContent',
);

/** Whether the cluster serves all of it; asked at the server each time. */
export async function servesSnapshots(client: KubeClient): Promise<boolean> {
  const discovery = createDiscovery(client);
  for (const type of [snapshots, snapshotContents, snapshotClasses]) {
    if (!(await discovery.serves(type))) return false;
  }
  return true;
}

/** The default one of the driver, or its first by name. */
export async function classOfDriver(
  client: KubeClient,
  driver: string,
): Promise<SnapshotClass | undefined> {
  const found: SnapshotClass[] = [];
  for await (const one of client.list(snapshotClasses)) if (one.driver === driver) found.push(one);
  const byName = found.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  return byName.find(({ metadata }) => metadata.annotations?.[isDefault] === 'true') ?? byName[0];
}

function nameOf({ metadata }: KubeObject): string {
  return metadata.name ?? '';
}
