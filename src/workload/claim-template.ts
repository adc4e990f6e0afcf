/**
 * The claim templates of a StatefulSet cannot be changed. So that a set which grows later asks for
 * the new class, it is made again under its name, and its pods run on all the while.
 */
import { type ObjectKey, keyOf } from '../kube/objects.ts';
import type { AccessMode } from '../kube/resources.ts';
import type { StatefulSet } from '../kube/workloads.ts';
import { sameJson, valueAt, withAt, withoutAt } from './fields.ts';
import { nameKey, nameOf } from './names.ts';
import type { Blocker } from './quiesce.ts';
import type { UndoRecord } from './undo.ts';

/** Absent fields stay as they are. */
export interface TemplateChange {
  /** The template's name. */
  readonly template: string;
  readonly storageClass?: string;
  /** A Kubernetes quantity. */
  readonly size?: string;
  readonly accessModes?: readonly AccessMode[];
  readonly volumeMode?: 'Filesystem' | 'Block';
}

/** Plain JSON, written down before the first change. */
export interface TemplateRecord {
  readonly set: ObjectKey;
  readonly uid: string;
  /** As it is made again. */
  readonly before: StatefulSet;
  readonly after: StatefulSet;
  readonly changes: readonly TemplateChange[];
}

export interface TemplatePlan {
  /** Undefined while there are blockers, or when the templates already are as they should be. */
  readonly record: TemplateRecord | undefined;
  readonly blockers: readonly Blocker[];
}

export function planClaimTemplates(
  set: StatefulSet,
  changes: readonly TemplateChange[],
): TemplatePlan {
  const blockers: Blocker[] = [];
  const block = (message: string, remedy: string): void => {
    blockers.push({ name: nameOf(set), message, remedy });
  };
  if (set.metadata.deletionTimestamp !== undefined) {
    block('it is being deleted', 'Wait until it is gone.');
  }
  const names = templatesOf(set).map(({ metadata }) => metadata.name);
  for (const { template } of changes) {
    if (names.includes(template)) continue;
    block(`it has no claim template ${template}`, `It has: ${names.join(', ') || 'none'}.`);
  }
  const record = recordOf(set, changes);
  const isDone = sameJson(templatesOf(record.before), templatesOf(record.after));
  return { record: blockers.length > 0 || isDone ? undefined : record, blockers };
}

export function recordOf(set: StatefulSet, changes: readonly TemplateChange[]): TemplateRecord {
  const before = setAgain(set);
  const volumeClaimTemplates = templatesOf(before).map((template) =>
    changes
      .filter((change) => change.template === template.metadata.name)
      .reduce(changed, template),
  );
  const after = { ...before, spec: { ...before.spec, volumeClaimTemplates } };
  return { set: keyOf(set), uid: set.metadata.uid ?? '', before, after, changes };
}

type Template = NonNullable<NonNullable<StatefulSet['spec']>['volumeClaimTemplates']>[number];

const templatesOf = ({ spec }: StatefulSet): readonly Template[] =>
  spec?.volumeClaimTemplates ?? [];

const classNote = ['metadata', 'annotations', 'volume.beta.kubernetes.io/storage-class'];

function changed(template: Template, change: TemplateChange): Template {
  const { storageClass, size, accessModes, volumeMode } = change;
  let next = template;
  if (storageClass !== undefined) {
    next = withAt(withoutAt(next, classNote), ['spec', 'storageClassName'], storageClass);
  }
  if (size !== undefined) next = withAt(next, ['spec', 'resources', 'requests', 'storage'], size);
  if (accessModes !== undefined) next = withAt(next, ['spec', 'accessModes'], accessModes);
  return volumeMode === undefined ? next : withAt(next, ['spec', 'volumeMode'], volumeMode);
}

const serverSet = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'managedFields',
  'generateName',
  'selfLink',
];

/** Such that a server makes it again. */
function setAgain(set: StatefulSet): StatefulSet {
  const again = serverSet.reduce(
    (out, name) => withoutAt(out, ['metadata', name]),
    withoutAt(set, ['status']),
  );
  const volumeClaimTemplates = templatesOf(set).map((one) =>
    withoutAt(withoutAt(one, ['status']), ['metadata', 'creationTimestamp']),
  );
  return { ...again, spec: { ...again.spec, volumeClaimTemplates } };
}

const retentionPath = ['spec', 'persistentVolumeClaimRetentionPolicy'];

/** Claims go with the set when it is deleted. */
export function deletesClaims(set: StatefulSet): boolean {
  return set.spec?.persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete';
}

/**
 * What somebody changed in the set before it was taken away is kept; the retention policy is ours
 * by then and stays as it first was.
 */
export function refreshed(record: TemplateRecord, current: StatefulSet): TemplateRecord {
  const policy = valueAt(record.before, retentionPath);
  const set = policy === undefined ? current : withAt(current, retentionPath, policy);
  const { before, after } = recordOf(set, record.changes);
  const isSame = sameJson(before, record.before);
  return isSame ? record : { ...record, before, after };
}

/** It asks for claims in the same way: the order of fields and defaults of servers aside. */
export function hasTemplatesOf(set: StatefulSet, wanted: StatefulSet): boolean {
  const told = (one: StatefulSet): unknown =>
    templatesOf(one).map(({ metadata, spec }) => [
      metadata.name,
      spec?.storageClassName,
      spec?.accessModes,
      spec?.volumeMode ?? 'Filesystem',
      spec?.resources?.requests?.storage,
    ]);
  return sameJson(told(set), told(wanted));
}

/**
 * Records of a set that was stopped, for the one that took its place under its name: without this
 * nothing would start it again.
 */
export function readdressed(
  records: readonly UndoRecord[],
  set: StatefulSet,
): readonly UndoRecord[] {
  const { uid = '' } = set.metadata;
  const name = nameKey({ group: 'apps', kind: 'StatefulSet', ...keyOf(set) });
  return records.map((one) => (nameKey(one.name) === name ? { ...one, uid } : one));
}

/** Whether what is known of the set is known of the one that is there now. */
export function isAddressed(records: readonly UndoRecord[], set: StatefulSet): boolean {
  return readdressed(records, set).every(({ uid }, i) => uid === records[i]?.uid);
}
