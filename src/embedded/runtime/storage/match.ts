/** Which volume may serve which claim (Kubernetes documentation, "Persistent Volumes"). */
import type { ObjectReference, StorageClass } from '../../../kube/resources.ts';
import { compareQuantities, parseQuantity } from '../../schema/quantity.ts';
import { bornMs, isDeleted } from '../controller.ts';
import type { Claim, PersistentVolume } from '../kinds/storage.ts';
import { selectorOf } from '../ownership.ts';

const classNote = 'volume.beta.kubernetes.io/storage-class';
const defaultNote = 'storageclass.kubernetes.io/is-default-class';

export function classOf(object: Claim | PersistentVolume): string {
  return object.metadata.annotations?.[classNote] ?? object.spec.storageClassName ?? '';
}

/** The class a claim without one gets: the newest of those marked. */
export function defaultClass(all: readonly StorageClass[]): StorageClass | undefined {
  return all
    .filter((one) => one.metadata.annotations?.[defaultNote] === 'true')
    .toSorted((a, b) => bornMs(b) - bornMs(a))[0];
}

/** Is the reference to this claim? One without a uid reserves the volume for the name. */
export function isFor(reference: ObjectReference | undefined, claim: Claim): boolean {
  if (reference === undefined) return false;
  const { name, namespace, uid } = claim.metadata;
  if (reference.name !== name || reference.namespace !== namespace) return false;
  return reference.uid === undefined || reference.uid === '' || reference.uid === uid;
}

/** Why a volume cannot serve a claim that names it; undefined when it can. */
export function mismatch(claim: Claim, volume: PersistentVolume): string | undefined {
  if (isDeleted(volume)) return 'the volume is being deleted';
  const requested = claim.spec.resources?.requests?.['storage'] ?? '0';
  const capacity = volume.spec.capacity?.['storage'] ?? '0';
  if (isLess(capacity, requested)) {
    return `requested PV is too small: ${capacity} of ${requested}`;
  }
  if (classOf(claim) !== classOf(volume)) return 'storageClassName does not match';
  const mode = claim.spec.volumeMode ?? 'Filesystem';
  if (mode !== (volume.spec.volumeMode ?? 'Filesystem')) return 'incompatible volumeMode';
  const modes = volume.spec.accessModes ?? [];
  const isAllowed = claim.spec.accessModes?.every((one) => modes.includes(one)) ?? true;
  return isAllowed ? undefined : 'incompatible accessMode';
}

function isLess(a: string | number, b: string | number): boolean {
  const isRead = parseQuantity(String(a)) !== undefined && parseQuantity(String(b)) !== undefined;
  return !isRead || compareQuantities(String(a), String(b)) < 0;
}

/** The volume reserved for the claim, else the smallest free one that serves it. */
export function bestVolume(
  claim: Claim,
  volumes: readonly PersistentVolume[],
): PersistentVolume | undefined {
  const fit = volumes.filter((volume) => mismatch(claim, volume) === undefined);
  const reserved = fit.find((volume) => isFor(volume.spec.claimRef, claim));
  if (reserved !== undefined) return reserved;
  const selects = claim.spec.selector === undefined ? () => true : selectorOf(claim.spec.selector);
  return fit
    .filter(
      (volume) =>
        volume.spec.claimRef === undefined &&
        volume.status?.phase === 'Available' &&
        selects(volume.metadata.labels),
    )
    .toSorted(
      (a, b) =>
        compareQuantities(sizeText(a), sizeText(b)) ||
        (a.metadata.name ?? '').localeCompare(b.metadata.name ?? ''),
    )[0];
}

function sizeText(volume: PersistentVolume): string {
  return String(volume.spec.capacity?.['storage'] ?? '0');
}
