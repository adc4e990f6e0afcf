/**
 * What was changed to stop a workload, exactly as it was before: plain JSON that is written down
 * before the first change and from which everything is put back (rule 2 of design.md section 8).
 */
import type { KubeObject, ResourceType } from '../kube/objects.ts';
import {
  type Fields,
  type FieldPath,
  isFields,
  pathText,
  sameJson,
  valueAt,
  withAt,
  withoutAt,
} from './fields.ts';
import { nameKey, type ObjectName } from './names.ts';

export type StopAction = 'PauseManager' | 'ScaleDown' | 'Suspend' | 'KeepOffNodes' | 'Delete';

export interface UndoField {
  readonly path: FieldPath;
  /** Null: there was none. */
  readonly before: unknown;
  /** Null: taken away. */
  readonly during: unknown;
}

export interface UndoRecord {
  readonly type: ResourceType;
  readonly name: ObjectName;
  /** Another object of that name is none of ours. */
  readonly uid: string;
  readonly action: StopAction;
  /** Empty for `Delete`. */
  readonly fields: readonly UndoField[];
  /** As it is made again, for `Delete`. */
  readonly object?: KubeObject;
}

/** Fields that were changed, whatever for. */
export type Changed = Pick<UndoRecord, 'fields'>;

export const recordKey = ({ name, uid, action }: UndoRecord): string =>
  `${nameKey(name)} ${uid} ${action}`;

/** Known records win: what they call `before` was seen before anything was changed. */
export function joinRecords(
  known: readonly UndoRecord[],
  found: readonly UndoRecord[],
): readonly UndoRecord[] {
  const keys = new Set(known.map(recordKey));
  return [...known, ...found.filter((one) => !keys.has(recordKey(one)))];
}

const currentOf = (object: KubeObject, { path }: UndoField): unknown =>
  valueAt(object, path) ?? null;

/** Everything is as the stop wants it. */
export function isStopped(record: Changed, object: KubeObject): boolean {
  return record.fields.every((field) => sameJson(currentOf(object, field), field.during));
}

function nested(path: FieldPath, value: unknown): Fields {
  return path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Fields;
}

function merged(a: Fields, b: Fields): Fields {
  const out: Record<string, unknown> = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const before = out[name];
    out[name] = isFields(before) && isFields(value) ? merged(before, value) : value;
  }
  return out;
}

/** A JSON merge patch. */
export function stopPatch(record: Changed): Fields {
  return record.fields.map(({ path, during }) => nested(path, during)).reduce(merged, {});
}

export interface Restore {
  /** Undefined: nothing is left to do. */
  readonly patch: Fields | undefined;
  /** Fields that somebody else has changed meanwhile; these stay as they are. */
  readonly changedByOthers: readonly string[];
}

/** Puts back what is still as we left it, and nothing else. */
export function restoreOf(record: Changed, object: KubeObject): Restore {
  const ours = record.fields.filter((field) => sameJson(currentOf(object, field), field.during));
  const others = record.fields.filter((field) => {
    const current = currentOf(object, field);
    return !sameJson(current, field.during) && !sameJson(current, field.before);
  });
  const toChange = ours.filter(({ before, during }) => !sameJson(before, during));
  return {
    patch:
      toChange.length === 0
        ? undefined
        : toChange.map(({ path, before }) => nested(path, before)).reduce(merged, {}),
    changedByOthers: others.map(({ path }) => pathText(path)),
  };
}

/**
 * The object as it was before it was stopped: what is copied while the source is at rest must not
 * be at rest as well at the destination.
 */
export function asBefore(object: KubeObject, records: readonly UndoRecord[]): KubeObject {
  return records
    .filter(({ uid }) => uid === object.metadata.uid)
    .flatMap(({ fields }) => fields)
    .filter((field) => sameJson(currentOf(object, field), field.during))
    .reduce(
      (out, { path, before }) =>
        before === null ? withoutAt(out, path) : withAt(out, path, before),
      object,
    );
}
