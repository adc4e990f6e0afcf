/** What is made of a volume of ours so that pods can use it: PersistentVolumes, and their facts. */
import { exactSize } from '../../base/units.ts';
import { parseSize } from '../../base/units.ts';
import type { Draft } from '../../kube/api.ts';
import type {
  AccessMode,
  ObjectReference,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from '../../kube/resources.ts';
import { annotations, driver, finalizers } from '../labels.ts';

/** Bytes of a quantity, also of one as old clients write it (`1e9` is not). Undefined: none. */
export function quantityBytes(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  try {
    return parseSize(text);
  } catch {
    return undefined;
  }
}

export function isOurVolume(volume: PersistentVolume | undefined): volume is PersistentVolume {
  return volume?.spec?.csi?.driver === driver;
}

/** The Volume behind a PersistentVolume of ours. */
export function handleOf(volume: PersistentVolume): string {
  return volume.spec?.csi?.volumeHandle ?? '';
}

/** As all classes of CSI drivers may name it; ours have `type`, too. */
export const fsTypeParameter = 'csi.storage.k8s.io/fstype';

export function fsTypeOf(storageClass: StorageClass | undefined): string {
  const { type: own, [fsTypeParameter]: common } = storageClass?.parameters ?? {};
  const type = own ?? common ?? 'ext4';
  return type === 'block' ? 'ext4' : type;
}

export interface PersistentVolumePlan {
  /** Of the Volume and of the PersistentVolume. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly claim: ObjectReference;
  readonly accessModes: readonly AccessMode[];
  readonly volumeMode: 'Filesystem' | 'Block';
  readonly storageClassName: string;
  readonly storageClass: StorageClass | undefined;
  /** The VolumeAttributesClass that the volume was made by; empty or absent: none. */
  readonly attributesClass?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export function persistentVolumeOf(plan: PersistentVolumePlan): Draft<PersistentVolume> {
  const { name, sizeBytes, claim, accessModes, volumeMode, storageClass } = plan;
  const { attributesClass = '' } = plan;
  const { mountOptions } = storageClass ?? {};
  return {
    metadata: {
      name,
      // Kubernetes leaves the reclaiming of such a volume to whoever is named here.
      annotations: { [annotations.provisionedBy]: driver },
      finalizers: [finalizers.persistentVolume],
      ...(plan.labels === undefined ? {} : { labels: plan.labels }),
    },
    spec: {
      capacity: { storage: exactSize(sizeBytes) },
      accessModes,
      volumeMode,
      persistentVolumeReclaimPolicy: storageClass?.reclaimPolicy ?? 'Delete',
      storageClassName: plan.storageClassName,
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', ...claim },
      ...(mountOptions === undefined ? {} : { mountOptions }),
      ...(attributesClass === '' ? {} : { volumeAttributesClassName: attributesClass }),
      csi: {
        driver,
        volumeHandle: name,
        ...(volumeMode === 'Block' ? {} : { fsType: fsTypeOf(storageClass) }),
      },
    },
  };
}

export function volumeModeOf(claim: PersistentVolumeClaim): 'Filesystem' | 'Block' {
  return claim.spec?.volumeMode ?? 'Filesystem';
}
