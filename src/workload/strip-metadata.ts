/** Metadata that belongs to the source's server, or names things that exist only there. */
import type { KubeObject, ObjectMeta } from '../kube/objects.ts';
import { changeAt, each, type FieldPath, withoutAt, withoutEmpty } from './fields.ts';
import { podTemplatePaths } from './pod-specs.ts';
import type { Draft } from './transform-context.ts';

const serverSet: readonly (keyof ObjectMeta | 'selfLink')[] = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'selfLink',
  'generateName',
];

/** Written by controllers about the source; the destination's write their own. */
const derivedAnnotations: readonly string[] = [
  'deployment.kubernetes.io/revision',
  'deployment.kubernetes.io/desired-replicas',
  'deployment.kubernetes.io/max-replicas',
  'deprecated.daemonset.template.generation',
  'pv.kubernetes.io/bind-completed',
  'pv.kubernetes.io/bound-by-controller',
  'pv.kubernetes.io/provisioned-by',
  'volume.beta.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/selected-node',
  'volume.kubernetes.io/storage-resizer',
  'control-plane.alpha.kubernetes.io/leader',
  'batch.kubernetes.io/job-tracking',
  'autoscaling.alpha.kubernetes.io/conditions',
  'autoscaling.alpha.kubernetes.io/current-metrics',
  'endpoints.kubernetes.io/last-change-trigger-time',
  'kubernetes.io/config.seen',
  'kubernetes.io/config.source',
  'kubernetes.io/config.hash',
];

/** Put on pods and jobs by what made them; with them a copy would be taken for one of theirs. */
export const derivedLabels: readonly string[] = [
  'pod-template-hash',
  'controller-revision-hash',
  'pod-template-generation',
  'statefulset.kubernetes.io/pod-name',
  'apps.kubernetes.io/pod-index',
];

export function stripMetadata(draft: Draft): KubeObject {
  let { object } = draft;
  tellOwnersAndFinalizers(draft);
  for (const name of [...serverSet, 'ownerReferences', 'finalizers']) {
    object = withoutAt(object, ['metadata', name]);
  }
  for (const name of derivedAnnotations) {
    object = withoutAt(object, ['metadata', 'annotations', name]);
  }
  if (object.kind === 'Pod') {
    for (const name of derivedLabels) object = withoutAt(object, ['metadata', 'labels', name]);
  }
  object = stripStatus({ ...draft, object });
  // Templates carry a time that is always null; servers that are strict refuse it.
  const templates: readonly FieldPath[] = [
    ...podTemplatePaths(object),
    ['spec', 'jobTemplate'],
    ['spec', 'volumeClaimTemplates', each],
  ];
  for (const path of templates) {
    object = changeAt(object, [...path, 'metadata', 'creationTimestamp'], () => undefined);
  }
  object = withoutEmpty(object, ['metadata', 'annotations']);
  return withoutEmpty(object, ['metadata', 'labels']);
}

function tellOwnersAndFinalizers({ object, note }: Draft): void {
  const { ownerReferences = [], finalizers = [] } = object.metadata;
  for (const { kind, name } of ownerReferences) {
    const message = `the bond to its owner, ${kind} ${name}, is not copied`;
    note('Lost', 'metadata.ownerReferences', message, 'Its owner must adopt it, or nobody does.');
  }
  for (const one of finalizers.filter((name) => !name.startsWith('kubernetes.io/'))) {
    const message = `finalizer ${one} is not copied: its holder sets it where it runs`;
    note('Stripped', 'metadata.finalizers', message);
  }
}

/** Kinds of Kubernetes get theirs anew; other kinds may keep in it what is nowhere else. */
function stripStatus({ object, note }: Draft): KubeObject {
  if (!Object.hasOwn(object, 'status')) return object;
  const isCustom = /\..*\//.test(object.apiVersion) && !/\.k8s\.io\//.test(object.apiVersion);
  if (isCustom) {
    const message = 'its status is not copied: what serves the kind finds it out again';
    note('Stripped', 'status', message);
  }
  return withoutAt(object, ['status']);
}
