/** What becomes of volumes: Available, Bound, Released, Failed. */
import { type ObjectKey, keyOf } from '../../../kube/objects.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  decision,
  isDeleted,
  nothing,
  patch,
  setStatus,
} from '../controller.ts';
import { type Claim, type PersistentVolume, claims, persistentVolumes } from '../kinds/storage.ts';
import { ourBindNote } from './claim-binder.ts';
import { provisionedNote } from './directory-decisions.ts';

export function createVolumePhases(): Controller {
  return {
    name: 'volume-phases',
    sources: [
      { type: persistentVolumes, keysOf: (object) => [keyOf(object)] },
      { type: claims, keysOf: volumesOfClaim },
    ],
    reads: [persistentVolumes, claims],
    // A volume is released only after asking for its claim.
    confirms: [],
    decide: decideVolume,
  };
}

function volumesOfClaim(
  { metadata }: { readonly metadata: Claim['metadata'] },
  view: View,
): ObjectKey[] {
  const isTheirs = ({ spec }: PersistentVolume) =>
    spec.claimRef?.name === metadata.name && spec.claimRef?.namespace === metadata.namespace;
  return view.list(persistentVolumes).filter(isTheirs).map(keyOf);
}

export function decideVolume(view: View, key: ObjectKey): Decision {
  const volume = view.get(persistentVolumes, key);
  if (volume === undefined) return nothing;
  const { claimRef } = volume.spec;
  if (claimRef === undefined || claimRef.uid === undefined || claimRef.uid === '') {
    return decision(become(volume, 'Available'));
  }
  const { namespace = '', name = '' } = claimRef;
  const claim = view.get(claims, { namespace, name });
  if (claim === undefined || claim.metadata.uid !== claimRef.uid) {
    return decision(become(volume, 'Released'));
  }
  const { volumeName = '' } = claim.spec;
  // The binder was cut in its middle, and goes on by itself.
  if (volumeName === '' && claim.status?.phase !== 'Lost') return nothing;
  if (volumeName === volume.metadata.name) return decision(become(volume, 'Bound'));
  return decision(letGo(volume));
}

function become(volume: PersistentVolume, phase: string): readonly Action[] {
  if (volume.status?.phase === 'Failed' && phase === 'Released') return [];
  return setStatus(persistentVolumes, volume, { phase });
}

/** Its claim took another volume. */
function letGo(volume: PersistentVolume): readonly Action[] {
  const { annotations } = volume.metadata;
  const isProvisioned = annotations?.[provisionedNote] !== undefined;
  if (isProvisioned && volume.spec.persistentVolumeReclaimPolicy === 'Delete') {
    return become(volume, 'Released');
  }
  if (isDeleted(volume)) return [];
  const isOurs = annotations?.[ourBindNote] !== undefined;
  const claimRef = isOurs ? null : { uid: null, resourceVersion: null };
  const notes = isOurs ? { metadata: { annotations: { [ourBindNote]: null } } } : {};
  return [
    patch(persistentVolumes, volume, { ...notes, spec: { claimRef } }),
    ...become(volume, 'Available'),
  ];
}
