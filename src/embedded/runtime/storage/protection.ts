/** Claims that pods use and volumes that claims use are not taken away (storage object in use). */
import {
  type KubeObject,
  type ObjectKey,
  type ResourceType,
  keyOf,
} from '../../../kube/objects.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  decision,
  isDeleted,
  nothing,
  patch,
} from '../controller.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import { claims, persistentVolumes } from '../kinds/storage.ts';
import { isFinished } from '../workload/pods.ts';

const claimFinalizer = 'kubernetes.io/pvc-protection';
const volumeFinalizer = 'kubernetes.io/pv-protection';

export function createClaimProtection(): Controller {
  return {
    name: 'claim-protection',
    sources: [
      { type: claims, keysOf: (object) => [keyOf(object)] },
      { type: pods, keysOf: (object) => claimsOfPod(object as Pod) },
    ],
    reads: [claims, pods],
    confirms: [pods],
    decide: (view, key) => {
      const claim = view.get(claims, key);
      if (claim === undefined) return nothing;
      return protect(claims, claim, claimFinalizer, () => isUsed(view, key));
    },
  };
}

export function createVolumeProtection(): Controller {
  return {
    name: 'volume-protection',
    sources: [{ type: persistentVolumes, keysOf: (object) => [keyOf(object)] }],
    reads: [persistentVolumes],
    decide: (view, key) => {
      const volume = view.get(persistentVolumes, key);
      if (volume === undefined) return nothing;
      return protect(
        persistentVolumes,
        volume,
        volumeFinalizer,
        () => volume.status?.phase === 'Bound',
      );
    },
  };
}

export function claimsOfPod({ metadata, spec }: Pod): readonly ObjectKey[] {
  const { namespace = '', name = '' } = metadata;
  return (spec.volumes ?? []).flatMap((volume) => {
    const own = volume.ephemeral === undefined ? undefined : `${name}-${volume.name}`;
    const claim = volume.persistentVolumeClaim?.claimName ?? own;
    return claim === undefined ? [] : [{ namespace, name: claim }];
  });
}

function isUsed(view: View, key: ObjectKey): boolean {
  return view
    .list(pods, key.namespace)
    .some(
      (pod) =>
        !isFinished(pod) &&
        pod.spec.nodeName !== undefined &&
        claimsOfPod(pod).some((one) => one.name === key.name),
    );
}

function protect<T extends KubeObject>(
  type: ResourceType<T>,
  object: T,
  finalizer: string,
  isInUse: () => boolean,
): Decision {
  const finalizers = object.metadata.finalizers ?? [];
  const has = finalizers.includes(finalizer);
  const set = (next: readonly string[]): Action =>
    patch(type, object, { metadata: { finalizers: next } });
  if (!isDeleted(object)) return has ? nothing : decision([set([...finalizers, finalizer])]);
  if (!has || isInUse()) return nothing;
  return decision([set(finalizers.filter((one) => one !== finalizer))]);
}
