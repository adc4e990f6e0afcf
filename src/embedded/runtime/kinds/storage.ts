/** Claims and volumes as the runtime has them (see `pods.ts`). The fields are in `src/kube`. */
import type {
  PersistentVolume as AnyPersistentVolume,
  PersistentVolumeClaim,
} from '../../../kube/resources.ts';
import { clusterWide, namespaced } from '../../../kube/type-of.ts';

export type ClaimSpec = NonNullable<PersistentVolumeClaim['spec']>;

export interface Claim extends PersistentVolumeClaim {
  readonly spec: ClaimSpec;
}

export interface PersistentVolume extends AnyPersistentVolume {
  readonly spec: NonNullable<AnyPersistentVolume['spec']>;
}

export const claims = namespaced<Claim>('v1', 'persistentvolumeclaims', 'PersistentVolumeClaim');
export const persistentVolumes = clusterWide<PersistentVolume>(
  'v1',
  'persistentvolumes',
  'PersistentVolume',
);
