/**
 * One report of one migration, from the objects that it left: what moved, how, how fast, how it was
 * checked. The fields are a contract (docs/formats/migration-report.md): they stay, others may
 * come. What is not known is absent. Pure.
 */
import type { ImageTransfer } from '../../api/kinds/image-transfer.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import { conditionOf } from '../api/waiting.ts';
import { percentNow, standingOf, stepsOf } from './standing.ts';
import { type Parts, tookMs } from './text.ts';

export interface MigrationReport {
  readonly kind: 'MigrationReport';
  readonly apiVersion: 'transship.dev/v1alpha1';
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly plan: string;
  readonly type: string;
  readonly source: string | undefined;
  readonly destination: string | undefined;
  readonly result: string;
  readonly reason: string | undefined;
  readonly message: string | undefined;
  readonly percent: number;
  readonly startTime: string | undefined;
  readonly completionTime: string | undefined;
  readonly durationMilliseconds: number | undefined;
  readonly downtimeMilliseconds: number | undefined;
  readonly totals: Totals;
  readonly steps: readonly StepReport[];
  readonly volumes: readonly VolumeReport[];
  readonly images: readonly ImageReport[];
  readonly warnings: readonly string[];
}

export interface Totals {
  readonly objects: number | undefined;
  readonly volumes: number;
  readonly images: number;
  readonly bytes: number;
  readonly wireBytes: number;
  readonly bytesPerSecond: number | undefined;
  readonly attempts: number;
  readonly verified: number;
}

export interface StepReport {
  readonly name: string;
  readonly state: string;
  readonly startTime: string | undefined;
  readonly durationMilliseconds: number | undefined;
  readonly message: string | undefined;
}

/** What a transfer counted, of whatever it is. */
interface Counted {
  readonly phase: string;
  readonly bytes: number | undefined;
  readonly copiedBytes: number | undefined;
  readonly wireBytes: number | undefined;
  readonly bytesPerSecond: number | undefined;
  readonly seconds: number | undefined;
  readonly attempts: number;
  readonly reason: string | undefined;
  readonly message: string | undefined;
}

export interface Side {
  readonly files: number | undefined;
  readonly bytes: number | undefined;
  readonly digest: string | undefined;
}

export interface VolumeReport extends Counted {
  readonly transfer: string;
  readonly pass: string;
  readonly source: { readonly cluster: string; readonly namespace: string; readonly claim: string };
  readonly destination: {
    readonly cluster: string;
    readonly namespace: string;
    readonly claim: string;
    readonly volume: string | undefined;
  };
  readonly action: string;
  readonly method: string | undefined;
  readonly declined: readonly {
    readonly method: string;
    readonly reason: string;
    readonly message: string;
  }[];
  readonly route: string | undefined;
  readonly verified: boolean | undefined;
  readonly audit: { readonly source: Side | undefined; readonly destination: Side | undefined };
}

export interface ImageReport extends Counted {
  readonly transfer: string;
  readonly source: { readonly cluster: string; readonly reference: string };
  readonly destination: { readonly cluster: string; readonly reference: string };
  readonly method: string | undefined;
  readonly digest: string | undefined;
  readonly layers: number | undefined;
  readonly layersPresent: number | undefined;
}

/** Also of one that has not ended: what took so long lasts until `nowMs`. */
export function reportOf(parts: Parts, plan: Plan | undefined, nowMs: number): MigrationReport {
  const { migration } = parts;
  const { metadata, spec, status = {} } = migration;
  const { name = '', namespace = '', uid = '' } = metadata;
  const { startTime, completionTime, display = {}, warnings = [] } = status;
  const succeeded = conditionOf(migration, 'Succeeded');
  const isKnown = succeeded !== undefined && succeeded.status !== 'Unknown';
  const volumes = parts.volumes.map(volumeReport);
  const images = parts.images.map(imageReport);
  return {
    kind: 'MigrationReport',
    apiVersion: 'transship.dev/v1alpha1',
    metadata: { name, namespace, uid },
    plan: spec.plan,
    type: spec.type,
    source: display.source ?? plan?.spec.source,
    destination: display.target ?? plan?.spec.destination,
    result: standingOf(migration),
    reason: isKnown ? succeeded.reason : undefined,
    message: isKnown ? succeeded.message : undefined,
    percent: percentNow(migration),
    startTime,
    completionTime,
    durationMilliseconds:
      startTime === undefined ? undefined : spanMs(startTime, completionTime, nowMs),
    downtimeMilliseconds: status.downtimeMilliseconds,
    totals: totalsOf(parts, volumes, images),
    steps: stepsOf(migration).map((step) => ({
      name: step.name,
      state: step.state,
      startTime: step.startTime,
      durationMilliseconds: tookMs(step, nowMs),
      message: step.failure ?? step.message,
    })),
    volumes,
    images,
    warnings: [...warnings],
  };
}

function spanMs(startTime: string, endTime: string | undefined, nowMs: number): number {
  return Math.max(0, (endTime === undefined ? nowMs : Date.parse(endTime)) - Date.parse(startTime));
}

/** The controller's own sums where it made them; else those of what is there. */
function totalsOf(
  { migration }: Parts,
  volumes: readonly VolumeReport[],
  images: readonly ImageReport[],
): Totals {
  const { report = {}, copiedBytes } = migration.status ?? {};
  const all: readonly Counted[] = [...volumes, ...images];
  const sum = (of: (one: Counted) => number | undefined) =>
    all.reduce((total, one) => total + (of(one) ?? 0), 0);
  const isDone = ({ phase }: Counted) => phase === 'Succeeded';
  // Of a claim that was copied twice, the last copy is the one that counts; the way was gone twice.
  const newest = [
    ...new Map(volumes.map((one) => [`${one.source.namespace}/${one.source.claim}`, one])).values(),
  ];
  const there = [...newest, ...images].reduce((all, one) => all + (one.copiedBytes ?? 0), 0);
  return {
    objects: report.objects,
    volumes: report.volumes ?? newest.filter(isDone).length,
    images: report.images ?? images.filter(isDone).length,
    bytes: report.bytes ?? copiedBytes ?? there,
    wireBytes: report.wireBytes ?? sum((one) => one.wireBytes),
    bytesPerSecond: report.bytesPerSecond,
    attempts: sum((one) => one.attempts),
    verified: report.verified ?? newest.filter(({ verified }) => verified === true).length,
  };
}

type TransferStatus = NonNullable<VolumeTransfer['status'] | ImageTransfer['status']>;

function countedOf(transfer: VolumeTransfer | ImageTransfer): Counted {
  const status: TransferStatus = transfer.status ?? {};
  const { copiedBytes, elapsedSeconds, bytesPerSecond } = status;
  const succeeded = conditionOf(transfer, 'Succeeded');
  const isFailed = succeeded?.status === 'False';
  const isOver = status.completionTime !== undefined;
  const isMeasured = isOver && copiedBytes !== undefined && (elapsedSeconds ?? 0) > 0;
  return {
    phase: status.phase ?? 'Pending',
    bytes: status.totalBytes,
    copiedBytes,
    wireBytes: status.wireBytes,
    // Over the whole copy once it is over; what the last seconds were is no result.
    bytesPerSecond: isMeasured ? Math.round(copiedBytes / elapsedSeconds!) : bytesPerSecond,
    seconds: elapsedSeconds,
    attempts: status.attempts ?? 0,
    reason: isFailed ? succeeded.reason : undefined,
    message: isFailed ? succeeded.message : undefined,
  };
}

function volumeReport(transfer: VolumeTransfer): VolumeReport {
  const { metadata, spec, status = {} } = transfer;
  const { source, destination, action = 'Copy', pass = 'Ahead' } = spec;
  const verified = conditionOf(transfer, 'Verified')?.status;
  return {
    transfer: metadata.name ?? '',
    pass,
    source: { cluster: source.cluster, namespace: source.namespace, claim: source.claim },
    destination: {
      cluster: destination.cluster,
      namespace: destination.namespace,
      claim: destination.claim,
      volume: status.volume,
    },
    action,
    method: status.method ?? spec.method,
    declined: (status.declined ?? []).map(({ method, reason, message }) => {
      return { method, reason, message };
    }),
    route: status.route,
    verified: verified === 'True' ? true : verified === 'False' ? false : undefined,
    audit: {
      source: sideOf(status.audit?.source),
      destination: sideOf(status.audit?.destination),
    },
    ...countedOf(transfer),
  };
}

function sideOf(side: Partial<Side> | undefined): Side | undefined {
  if (side === undefined) return undefined;
  return { files: side.files, bytes: side.bytes, digest: side.digest };
}

function imageReport(transfer: ImageTransfer): ImageReport {
  const { metadata, spec, status = {} } = transfer;
  const { source, destination } = spec;
  return {
    transfer: metadata.name ?? '',
    source: { cluster: source.cluster, reference: source.reference },
    destination: { cluster: destination.cluster, reference: destination.reference },
    method: status.method,
    digest: status.digest,
    layers: status.layers,
    layersPresent: status.layersPresent,
    ...countedOf(transfer),
  };
}
