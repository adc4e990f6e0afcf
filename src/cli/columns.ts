/** What tables show of each kind: NAME first, AGE last, at most 80 columns unless wide. */
import {
  badWhenTrue,
  type ApiObject,
  type AttachmentObject,
  type ClusterObject,
  type ConditionView,
  type EventObject,
  type Finding,
  type HistoryPolicyObject,
  type JobObject,
  type PoolObject,
  type SnapshotObject,
  type TeleportObject,
  type VolumeObject,
} from '../api/objects.ts';
import { formatAge, formatBytes, formatDuration, formatRate, formatSize } from '../base/units.ts';
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

/** The worst thing a person should know; `<none>` when all is as it should be. */
export function trouble(conditions: readonly ConditionView[]): string | undefined {
  return conditions.find((condition) => isTrouble(condition))?.reason;
}

/** Conditions whose `False` is bad, and those whose `True` is. */
export function isTrouble(condition: ConditionView): boolean {
  return condition.status === (badWhenTrue.includes(condition.type) ? 'True' : 'False');
}

const volume: ColumnsFor<VolumeObject> = (nowMs) => [
  name(),
  { header: 'SIZE', value: ({ spec }) => spec.size },
  { header: 'USED', value: ({ status }) => formatSize(status.allocatedBytes) },
  { header: 'PHASE', value: ({ status }) => status.phase },
  {
    header: 'MISSING',
    value: ({ status }) => (status.missingBytes === 0 ? '0' : formatSize(status.missingBytes)),
  },
  { header: 'HISTORY', value: ({ spec }) => spec.historyPolicy },
  { header: 'BLOCK', wide: true, value: ({ spec }) => spec.blockSize },
  { header: 'POOL', wide: true, value: ({ spec }) => spec.pool },
  { header: 'SNAPSHOTS', wide: true, value: ({ status }) => String(status.snapshots) },
  { header: 'SOURCE', wide: true, value: ({ status }) => status.source },
  { header: 'ATTACHED', wide: true, value: ({ status }) => status.attachedTo },
  { header: 'LEASEDBY', wide: true, value: ({ status }) => status.leasedBy.join(',') },
  { header: 'TROUBLE', wide: true, value: ({ status }) => trouble(status.conditions) },
  { header: 'ROOT', wide: true, value: ({ status }) => status.root.slice(0, 12) },
  age(nowMs),
];

const teleport: ColumnsFor<TeleportObject> = (nowMs) => [
  name(),
  { header: 'FROM', value: ({ spec }) => `${spec.source.cluster}/${spec.source.volume}` },
  { header: 'PHASE', value: ({ status }) => status.phase },
  { header: 'PROGRESS', value: ({ status }) => teleportPercent(status) },
  { header: 'RATE', value: ({ status }) => rateOf(moving(status)?.bytesPerSecond ?? 0) },
  { header: 'ETA', value: ({ status }) => etaOf(moving(status)?.etaMs) },
  { header: 'THIN', wide: true, value: ({ spec }) => (spec.thin ? 'yes' : 'no') },
  { header: 'TOTAL', wide: true, value: ({ status }) => formatSize(status.progress.totalBytes) },
  {
    header: 'PRESENT',
    wide: true,
    value: ({ status }) => formatSize(status.progress.presentBytes),
  },
  { header: 'DEMAND', wide: true, value: ({ status }) => formatSize(status.progress.demandBytes) },
  {
    header: 'BACKGROUND',
    wide: true,
    value: ({ status }) => formatSize(status.progress.backgroundBytes),
  },
  { header: 'WIRE', wide: true, value: ({ status }) => formatSize(status.progress.wireBytes) },
  { header: 'TROUBLE', wide: true, value: ({ status }) => trouble(status.conditions) },
  age(nowMs),
];

export function teleportPercent(status: TeleportObject['status']): string {
  if (status.phase === 'Initializing') return '0%';
  if (status.phase === 'Available') return '100%';
  if (status.phase !== 'Accessible') return '<none>';
  const { totalBytes, missingBytes } = status.progress;
  const percent = percentOf(totalBytes - missingBytes, totalBytes);
  // Nothing missing but not yet `Available`: the closing check still runs.
  return percent === '100%' ? '99%' : percent;
}

/** Rates and estimates of what has ended are history. */
function moving(
  status: TeleportObject['status'],
): TeleportObject['status']['progress'] | undefined {
  return status.phase === 'Accessible' ? status.progress : undefined;
}

export function rateOf(bytesPerSecond: number): string {
  return bytesPerSecond <= 0 ? '<none>' : formatRate(bytesPerSecond).replace(' ', '');
}

export function etaOf(etaMs: number | undefined): string {
  return etaMs === undefined ? '<none>' : formatAge(etaMs);
}

const cluster: ColumnsFor<ClusterObject> = (nowMs) => [
  name(),
  { header: 'HEALTH', value: ({ status }) => status.health },
  { header: 'CONNECTED', value: (row) => connectionOf(row) },
  { header: 'ADDRESS', value: ({ spec }) => spec.address },
  {
    header: 'VOLUMES',
    value: ({ status }) => (status.volumes === undefined ? undefined : String(status.volumes)),
  },
  {
    header: 'ROUNDTRIP',
    wide: true,
    value: ({ status }) =>
      status.roundTripMs === undefined ? undefined : `${status.roundTripMs.toFixed(1)}ms`,
  },
  {
    header: 'SAVINGS',
    wide: true,
    value: ({ status }) =>
      status.savingRatio === undefined ? undefined : `${status.savingRatio.toFixed(2)}x`,
  },
  { header: 'VERSION', wide: true, value: ({ status }) => status.version },
  { header: 'FINGERPRINT', wide: true, value: ({ spec }) => spec.fingerprint.slice(0, 16) },
  { header: 'REASONS', wide: true, value: ({ status }) => status.reasons.join('; ') },
  age(nowMs),
];

function connectionOf({ spec, status }: ClusterObject): string {
  if (spec.local) return 'here';
  return status.connected ? 'yes' : 'no';
}

const pool: ColumnsFor<PoolObject> = () => [
  name(),
  { header: 'PHASE', value: ({ status }) => status.phase },
  { header: 'ALLOCATED', value: ({ status }) => formatSize(status.allocatedBytes) },
  { header: 'FREE', value: ({ status }) => formatSize(status.freeBytes) },
  { header: 'CAPACITY', value: ({ status }) => formatSize(status.capacityBytes) },
  { header: 'READONLY', value: ({ status }) => (status.readOnly ? 'yes' : 'no') },
  { header: 'LOGICAL', wide: true, value: ({ status }) => formatSize(status.logicalBytes) },
  { header: 'UNIQUE', wide: true, value: ({ status }) => formatSize(status.uniqueBytes) },
  { header: 'STORED', wide: true, value: ({ status }) => formatSize(status.storedBytes) },
  { header: 'CHUNKS', wide: true, value: ({ status }) => String(status.chunks) },
  { header: 'SEGMENTS', wide: true, value: ({ status }) => String(status.segments) },
  { header: 'JOURNAL', wide: true, value: ({ status }) => formatSize(status.journalBytes) },
  { header: 'VOLUMES', wide: true, value: ({ status }) => String(status.volumes) },
  { header: 'PATH', wide: true, value: ({ spec }) => spec.path },
];

const policy: ColumnsFor<HistoryPolicyObject> = (nowMs) => [
  name(),
  { header: 'SECONDS', value: ({ spec }) => spec.seconds },
  { header: 'MINUTES', value: ({ spec }) => spec.minutes },
  { header: 'HOURS', value: ({ spec }) => spec.hours },
  { header: 'DAYS', value: ({ spec }) => spec.days },
  { header: 'VOLUMES', value: ({ status }) => String(status.volumes.length) },
  { header: 'PRESET', wide: true, value: ({ status }) => (status.preset ? 'yes' : 'no') },
  age(nowMs),
];

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

export const findingColumns: readonly Column<Finding>[] = [
  { header: 'CHECK', value: ({ check }) => check },
  { header: 'RESULT', value: ({ result }) => result },
  { header: 'MESSAGE', value: ({ message }) => message },
];

export const columnsByKind: Readonly<Record<string, ColumnsFor<ApiObject>>> = {
  Volume: volume as ColumnsFor<ApiObject>,
  Teleport: teleport as ColumnsFor<ApiObject>,
  Cluster: cluster as ColumnsFor<ApiObject>,
  Pool: pool as ColumnsFor<ApiObject>,
  HistoryPolicy: policy as ColumnsFor<ApiObject>,
  Snapshot: snapshot as ColumnsFor<ApiObject>,
  Event: event as ColumnsFor<ApiObject>,
  Attachment: attachment as ColumnsFor<ApiObject>,
  Job: job as ColumnsFor<ApiObject>,
};

/** "2h ago" for a person who reads times relative to now. */
export function since(time: string | undefined, nowMs: number): string | undefined {
  return time === undefined ? undefined : `${time} (${formatAge(nowMs - Date.parse(time))} ago)`;
}

export function spanOf(fromMs: number, toMs: number): string {
  return formatDuration(Math.max(0, toMs - fromMs));
}
