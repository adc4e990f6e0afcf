/** What tables show of each kind: NAME first, AGE last, at most 80 columns unless wide. */
import {
  badWhenTrue,
  type ApiObject,
  type AttachmentObject,
  type ConditionView,
  type EventObject,
  type Finding,
  type JobObject,
  type SavedVersionObject,
  type SnapshotObject,
} from '../api/objects.ts';
import { formatAge, formatBytes, formatDuration, formatSize } from '../base/units.ts';
import type { Column } from './table.ts';

type ColumnsFor<T> = (nowMs: number) => readonly Column<T>[];

function ageOf(object: ApiObject, nowMs: number): string | undefined {
  const created = object.metadata.creationTimestamp;
  return created === undefined ? undefined : formatAge(nowMs - Date.parse(created));
}

function name<T extends ApiObject>(): Column<T> {
  return { header: 'NAME', value: (object) => object.metadata.name };
}

function age<T extends ApiObject>(nowMs: number): Column<T> {
  return { header: 'AGE', value: (object) => ageOf(object, nowMs) };
}

export function percentOf(done: number, total: number): string {
  if (total <= 0) return '100%';
  // 100 % means done, never "almost": users stop looking there.
  const percent = Math.floor((done / total) * 100);
  return `${done < total ? Math.min(percent, 99) : 100}%`;
}

/** The worst thing a person should know; undefined when all is as it should be. */
export function trouble(conditions: readonly ConditionView[]): string | undefined {
  return conditions.find((condition) => isTrouble(condition))?.reason;
}

/** Conditions whose `False` is bad, and those whose `True` is. */
export function isTrouble({ type, status }: ConditionView): boolean {
  return status === (badWhenTrue.includes(type) ? 'True' : 'False');
}

const snapshot: ColumnsFor<SnapshotObject> = (nowMs) => [
  name(),
  { header: 'VOLUME', value: ({ spec }) => spec.volume },
  { header: 'SIZE', value: ({ status }) => formatSize(status.sizeBytes) },
  { header: 'USED', value: ({ status }) => formatSize(status.allocatedBytes) },
  { header: 'TRACE', value: ({ status }) => (status.trace ? 'yes' : 'no') },
  { header: 'ROOT', wide: true, value: ({ status }) => status.root.slice(0, 12) },
  { header: 'TIME', wide: true, value: ({ metadata }) => metadata.creationTimestamp },
  age(nowMs),
];

const event: ColumnsFor<EventObject> = (nowMs) => [
  { header: 'LAST', value: ({ eventTime }) => formatAge(nowMs - Date.parse(eventTime)) },
  { header: 'TYPE', value: ({ type }) => type },
  { header: 'REASON', value: ({ reason }) => reason },
  {
    header: 'OBJECT',
    value: ({ regarding }) => `${regarding.kind.toLowerCase()}/${regarding.name}`,
  },
  { header: 'COUNT', wide: true, value: ({ count }) => String(count) },
  { header: 'MESSAGE', value: ({ note }) => note },
];

const attachment: ColumnsFor<AttachmentObject> = () => [
  name(),
  { header: 'DEVICE', value: ({ status }) => status.device },
  { header: 'MOUNT', value: ({ spec }) => spec.mount },
  { header: 'FILESYSTEM', value: ({ status }) => status.filesystem },
  { header: 'READONLY', wide: true, value: ({ spec }) => (spec.readOnly ? 'yes' : 'no') },
  { header: 'HOW', wide: true, value: ({ status }) => status.how },
];

/** A job that has not said how much there is has done nothing yet. */
export function jobPercent({ status }: JobObject): string {
  const { phase, doneBytes, totalBytes } = status;
  if (phase === 'Succeeded') return '100%';
  if (totalBytes === 0) return '0%';
  const percent = percentOf(doneBytes, totalBytes);
  return percent === '100%' ? '99%' : percent;
}

const job: ColumnsFor<JobObject> = (nowMs) => [
  name(),
  { header: 'TYPE', value: ({ spec }) => spec.type },
  { header: 'TARGET', value: ({ spec }) => spec.target },
  { header: 'PHASE', value: ({ status }) => status.phase },
  { header: 'PROGRESS', value: jobPercent },
  { header: 'REASON', value: ({ status }) => status.reason },
  { header: 'DONE', wide: true, value: ({ status }) => formatBytes(status.doneBytes) },
  age(nowMs),
];

const savedVersion: ColumnsFor<SavedVersionObject> = (nowMs) => [
  name(),
  { header: 'SIZE', value: ({ status }) => formatSize(status.sizeBytes) },
  { header: 'DATA', value: ({ status }) => formatBytes(status.allocatedBytes) },
  { header: 'ADDED', value: ({ status }) => formatBytes(status.addedBytes) },
  { header: 'SAVED-BY', value: ({ status }) => status.savedBy },
  { header: 'ROOT', wide: true, value: ({ status }) => status.root.slice(0, 12) },
  { header: 'AGE', value: ({ status }) => formatAge(nowMs - Date.parse(status.savedTime)) },
];

export const findingColumns: readonly Column<Finding>[] = [
  { header: 'CHECK', value: ({ check }) => check },
  { header: 'RESULT', value: ({ result }) => result },
  { header: 'MESSAGE', value: ({ message }) => message },
];

export const columnsByKind: Readonly<Record<string, ColumnsFor<ApiObject>>> = {
  Snapshot: snapshot as ColumnsFor<ApiObject>,
  Event: event as ColumnsFor<ApiObject>,
  Attachment: attachment as ColumnsFor<ApiObject>,
  Job: job as ColumnsFor<ApiObject>,
  SavedVersion: savedVersion as ColumnsFor<ApiObject>,
};

/** "2h ago" for a person who reads times relative to now. */
export function since(time: string | undefined, nowMs: number): string | undefined {
  return time === undefined ? undefined : `${time} (${formatAge(nowMs - Date.parse(time))} ago)`;
}

export function spanOf(fromMs: number, toMs: number): string {
  return formatDuration(Math.max(0, toMs - fromMs));
}
