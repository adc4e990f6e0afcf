/**
 * Where objects have pod specs in them. By shape, not by kind: whatever has a template with
 * containers is understood, be it a Deployment or a kind nobody here has heard of.
 */
import type { KubeObject } from '../kube/objects.ts';
import { each, type FieldPath, fieldsListAt, fieldsAt, listAt, textAt } from './fields.ts';

const templatePaths: readonly FieldPath[] = [
  ['spec', 'template'],
  ['spec', 'jobTemplate', 'spec', 'template'],
  ['template'],
];

/** Paths of pod templates: objects with `metadata` and `spec` of pods to be made. */
export function podTemplatePaths(object: KubeObject): readonly FieldPath[] {
  return templatePaths.filter((path) => listAt(object, ...path, 'spec', 'containers').length > 0);
}

/** Paths of pod specs: of the object itself when it is a Pod, and of its templates. */
export function podSpecPaths(object: KubeObject): readonly FieldPath[] {
  if (object.kind === 'Pod' && object.apiVersion === 'v1') return [['spec']];
  return podTemplatePaths(object).map((path) => [...path, 'spec']);
}

export const containerLists = ['initContainers', 'containers', 'ephemeralContainers'] as const;

/** Paths of the containers of all pod specs of an object, with `*` for each of a list. */
export function containerPaths(object: KubeObject): readonly FieldPath[] {
  return podSpecPaths(object).flatMap((path) =>
    containerLists.map((name) => [...path, name, each]),
  );
}

export interface ClaimUse {
  readonly claim: string;
  readonly readOnly: boolean;
}

/** Claims that the pods of a spec mount; those that a pod makes for itself are not among them. */
export function claimsOfPodSpec(spec: unknown): readonly ClaimUse[] {
  return fieldsListAt(spec, 'volumes').flatMap((volume) => {
    const source = fieldsAt(volume, 'persistentVolumeClaim');
    const claim = textAt(source, 'claimName');
    return claim === undefined ? [] : [{ claim, readOnly: source['readOnly'] === true }];
  });
}

/** Whether a StatefulSet of that name with these claim templates makes or uses the claim. */
export function isClaimOfSet(set: KubeObject, claim: string): boolean {
  return fieldsListAt(set, 'spec', 'volumeClaimTemplates').some((template) => {
    const prefix = `${textAt(template, 'metadata', 'name') ?? ''}-${set.metadata.name ?? ''}-`;
    return claim.startsWith(prefix) && /^\d+$/.test(claim.slice(prefix.length));
  });
}
