/** Claims of a StatefulSet's pods, and who owns them under its retention policy. */
import type { KubeObject, OwnerReference } from '../../../kube/objects.ts';
import type { PodVolume } from '../../../kube/pod-spec.ts';
import { type Action, type View, create, isDeleted, patch } from '../controller.ts';
import type { Pod, PodTemplate } from '../kinds/pods.ts';
import { type Claim, claims } from '../kinds/storage.ts';
import type { StatefulSet } from '../kinds/workloads.ts';

/** TEMPLATE-SET-ORDINAL: the claim is found again whoever makes the pod. */
function claimName(set: StatefulSet, template: string, ordinal: number): string {
  return `${template}-${set.metadata.name}-${ordinal}`;
}

/** The claims of one ordinal that are not there yet. */
export function claimsFor(view: View, set: StatefulSet, ordinal: number): readonly Action[] {
  const { namespace = '' } = set.metadata;
  return (set.spec.volumeClaimTemplates ?? []).flatMap((template) => {
    const name = claimName(set, template.metadata.name ?? '', ordinal);
    if (view.get(claims, { namespace, name }) !== undefined) return [];
    const { annotations = {} } = template.metadata;
    const labels = { ...template.metadata.labels, ...set.spec.selector.matchLabels };
    const isOurs = retention(set).whenDeleted === 'Delete';
    const ownerReferences = isOurs ? [referenceTo(set)] : [];
    const metadata = { name, namespace, labels, annotations, ownerReferences };
    return [create(claims, { metadata, spec: template.spec })];
  });
}

/** The template's volumes, with the claims' in place of those of the same name. */
export function volumesFor(
  set: StatefulSet,
  template: PodTemplate,
  ordinal: number,
): readonly PodVolume[] {
  const own = (set.spec.volumeClaimTemplates ?? []).map(({ metadata: { name = '' } }) => ({
    name,
    persistentVolumeClaim: { claimName: claimName(set, name, ordinal) },
  }));
  const names = new Set(own.map((volume) => volume.name));
  return [...own, ...(template.spec.volumes ?? []).filter(({ name }) => !names.has(name))];
}

function retention({ spec }: StatefulSet): {
  readonly whenDeleted: string;
  readonly whenScaled: string;
} {
  const { whenDeleted = 'Retain', whenScaled = 'Retain' } =
    spec.persistentVolumeClaimRetentionPolicy ?? {};
  return { whenDeleted, whenScaled };
}

/**
 * The owners that make the collector delete claims: the set when they go with it, the condemned
 * pod when they go with a scale-down. A claim whose pod is wanted again loses the pod as owner.
 */
export function keepClaims(
  view: View,
  set: StatefulSet,
  byOrdinal: ReadonlyMap<number, Pod>,
): readonly Action[] {
  const { namespace = '' } = set.metadata;
  const { replicas = 1, ordinals } = set.spec;
  const start = ordinals?.start ?? 0;
  const { whenDeleted, whenScaled } = retention(set);
  const actions: Action[] = [];
  for (const [ordinal, pod] of byOrdinal) {
    const isCondemned = ordinal < start || ordinal >= start + replicas;
    for (const template of set.spec.volumeClaimTemplates ?? []) {
      const name = claimName(set, template.metadata.name ?? '', ordinal);
      const held = view.get(claims, { namespace, name });
      if (held === undefined || isDeleted(held)) continue;
      actions.push(
        ...owned(held, [
          {
            owner: set,
            isOwner: whenDeleted === 'Delete' && !(isCondemned && whenScaled === 'Delete'),
          },
          { owner: pod, isOwner: isCondemned && whenScaled === 'Delete' },
        ]),
      );
    }
  }
  return actions;
}

function owned(
  held: Claim,
  wishes: readonly { readonly owner: KubeObject; readonly isOwner: boolean }[],
): readonly Action[] {
  const before = held.metadata.ownerReferences ?? [];
  const isWish = (reference: OwnerReference) =>
    wishes.some(({ owner }) => owner.metadata.uid === reference.uid);
  const others = before.filter((reference) => !isWish(reference));
  const wanted = wishes.filter((one) => one.isOwner).map(({ owner }) => referenceTo(owner));
  const after = [...others, ...wanted];
  const isSame =
    after.length === before.length &&
    after.every((one) => before.some((other) => other.uid === one.uid));
  return isSame ? [] : [patch(claims, held, { metadata: { ownerReferences: after } })];
}

function referenceTo({ apiVersion, kind, metadata }: KubeObject): OwnerReference {
  return { apiVersion, kind, name: metadata.name ?? '', uid: metadata.uid ?? '' };
}
