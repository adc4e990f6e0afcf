/** Which objects belong to a controller: by reference, and by selector where nobody owns them. */
import { type KubeObject, type ObjectKey, type ResourceType, keyOf } from '../../kube/objects.ts';
import { ownerReference } from '../../kube/api.ts';
import { type LabelSelector, fromLabelSelectorObject } from '../../kube/selectors.ts';
import {
  type Action,
  type View,
  controllerKey,
  controllerOf,
  isDeleted,
  patch,
} from './controller.ts';

export interface Claimed<T extends KubeObject> {
  readonly mine: readonly T[];
  /** Adoptions and releases. */
  readonly actions: readonly Action[];
}

type Owner = KubeObject & { readonly spec: { readonly selector?: LabelSelector } };

/** A selector that no server would have taken selects nothing, rather than failing for ever. */
export function selectorOf(
  selector: LabelSelector | undefined,
): ReturnType<typeof fromLabelSelectorObject> {
  try {
    return fromLabelSelectorObject(selector);
  } catch {
    return () => false;
  }
}

/**
 * Objects the owner controls and selects. It adopts what it selects and nobody controls, and lets
 * go of what it no longer selects (as `PodControllerRefManager` of Kubernetes).
 */
export function claim<T extends KubeObject>(
  type: ResourceType<T>,
  owner: Owner,
  objects: readonly T[],
): Claimed<T> {
  const selects = selectorOf(owner.spec.selector);
  const mine: T[] = [];
  const actions: Action[] = [];
  for (const object of objects) {
    const controller = controllerOf(object);
    const isSelected = selects(object.metadata.labels);
    if (controller === undefined) {
      if (!isSelected || isDeleted(object) || isDeleted(owner)) continue;
      const others = object.metadata.ownerReferences ?? [];
      const references = [...others, ownerReference(owner)];
      actions.push(patch(type, object, { metadata: { ownerReferences: references } }));
      mine.push(object);
    } else if (controller.uid === owner.metadata.uid) {
      if (isSelected) mine.push(object);
      else if (!isDeleted(owner)) actions.push(release(type, object, controller.uid));
    }
  }
  return { mine, actions };
}

function release<T extends KubeObject>(type: ResourceType<T>, object: T, uid: string): Action {
  const left = object.metadata.ownerReferences?.filter((owner) => owner.uid !== uid) ?? [];
  return patch(type, object, { metadata: { ownerReferences: left } });
}

/** Keys of the owners an object has or, having none, could get. */
export function ownersOf(
  type: ResourceType<Owner>,
): (o: KubeObject, v: View) => readonly ObjectKey[] {
  return (object, view) => {
    if (controllerOf(object) !== undefined) return controllerKey(object, type.kind);
    const { namespace = '', labels } = object.metadata;
    const willing = view.list(type, namespace);
    return willing.filter((one) => selectorOf(one.spec.selector)(labels)).map(keyOf);
  };
}
