/** Claims, volumes and classes (API reference, core/v1 and storage.k8s.io/v1). */
import type { KubeObject } from '../../../kube/objects.ts';
import type { LabelSelector } from '../../../kube/selectors.ts';
import type { NodeSelector, Quantities } from './pods.ts';
import { clusterWide, namespaced } from '../../../kube/type-of.ts';

export interface ClaimSpec {
  readonly accessModes?: readonly string[];
  readonly selector?: LabelSelector;
  readonly resources?: { readonly requests?: Quantities };
  readonly volumeName?: string;
  /** Empty: only volumes without a class. Absent: the default class, where there is one. */
  readonly storageClassName?: string;
  readonly volumeMode?: string;
  readonly dataSource?: object;
  readonly dataSourceRef?: object;
}

export interface Claim extends KubeObject {
  readonly spec: ClaimSpec;
  readonly status?: {
    readonly phase?: string;
    readonly accessModes?: readonly string[];
    readonly capacity?: Quantities;
  };
}

export interface ObjectReference {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface PersistentVolume extends KubeObject {
  readonly spec: {
    readonly capacity?: Quantities;
    readonly accessModes?: readonly string[];
    readonly claimRef?: ObjectReference;
    readonly persistentVolumeReclaimPolicy?: string;
    readonly storageClassName?: string;
    readonly volumeMode?: string;
    readonly nodeAffinity?: { readonly required?: NodeSelector };
    readonly csi?: {
      readonly driver: string;
      readonly volumeHandle: string;
      readonly fsType?: string;
      readonly readOnly?: boolean;
    };
    readonly hostPath?: { readonly path: string; readonly type?: string };
    readonly local?: { readonly path: string };
  };
  readonly status?: {
    readonly phase?: string;
    readonly message?: string;
    readonly reason?: string;
    readonly lastPhaseTransitionTime?: string;
  };
}

export interface StorageClass extends KubeObject {
  readonly provisioner: string;
  readonly reclaimPolicy?: string;
  readonly volumeBindingMode?: string;
}

export const claims = namespaced<Claim>('v1', 'persistentvolumeclaims', 'PersistentVolumeClaim');
export const persistentVolumes = clusterWide<PersistentVolume>(
  'v1',
  'persistentvolumes',
  'PersistentVolume',
);
export const storageClasses = clusterWide<StorageClass>(
  'storage.k8s.io/v1',
  'storageclasses',
  'StorageClass',
);
