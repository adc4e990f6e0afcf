/** What the collector does with one object, given its owners and its dependents. */
import type { DeleteOptions } from '../../../kube/api.ts';
import type { KubeObject, OwnerReference } from '../../../kube/objects.ts';
import { isDeleted } from '../controller.ts';

export const orphanFinalizer = 'orphan';
export const foregroundFinalizer = 'foregroundDeletion';

export interface OwnerState {
  readonly reference: OwnerReference;
  /** `waiting`: it is being deleted and waits for its dependents. `unknown`: no such kind. */
  readonly state: 'solid' | 'waiting' | 'absent' | 'unknown';
}

export type Verdict =
  | { readonly kind: 'keep'; readonly isUncertain: boolean }
  /** Owners that are gone, or wait, are taken out: others remain. */
  | { readonly kind: 'disown'; readonly owners: readonly OwnerReference[] }
  | { readonly kind: 'delete'; readonly propagation: NonNullable<DeleteOptions['propagation']> }
  /** Its dependents lose it as owner, then its finalizer goes. */
  | { readonly kind: 'orphan' }
  /** Dependents are to be deleted first. */
  | { readonly kind: 'await' }
  /** No dependent is left: its finalizer goes. */
  | { readonly kind: 'finish' };

export function verdict(
  object: KubeObject,
  owners: readonly OwnerState[],
  dependents: readonly KubeObject[],
): Verdict {
  if (isDeleted(object)) return verdictOfDeleted(object, dependents);
  if (owners.length === 0) return { kind: 'keep', isUncertain: false };
  const solid = owners.filter((one) => one.state === 'solid');
  const unknown = owners.filter((one) => one.state === 'unknown');
  const isWaited = (one: OwnerState) =>
    one.state === 'waiting' && one.reference.blockOwnerDeletion === true;
  const gone = owners.filter((one) => one.state === 'absent' || one.state === 'waiting');
  if (solid.length > 0) {
    if (gone.length === 0) return { kind: 'keep', isUncertain: false };
    const left = owners.filter((one) => !gone.includes(one));
    return { kind: 'disown', owners: left.map((one) => one.reference) };
  }
  if (unknown.length > 0) return { kind: 'keep', isUncertain: true };
  // Whoever waits for this object must see its own dependents go first.
  const blocks = owners.some(isWaited) && dependents.length > 0;
  const { finalizers = [] } = object.metadata;
  if (blocks || finalizers.includes(foregroundFinalizer)) {
    return { kind: 'delete', propagation: 'Foreground' };
  }
  const isOrphaning = finalizers.includes(orphanFinalizer);
  return { kind: 'delete', propagation: isOrphaning ? 'Orphan' : 'Background' };
}

function verdictOfDeleted(object: KubeObject, dependents: readonly KubeObject[]): Verdict {
  const { finalizers = [], uid } = object.metadata;
  if (finalizers.includes(orphanFinalizer)) return { kind: 'orphan' };
  if (!finalizers.includes(foregroundFinalizer)) return { kind: 'keep', isUncertain: false };
  const blocking = dependents.filter((dependent) =>
    dependent.metadata.ownerReferences?.some(
      (owner) => owner.uid === uid && owner.blockOwnerDeletion === true,
    ),
  );
  return { kind: blocking.length > 0 ? 'await' : 'finish' };
}
