/** The status of a volume, from what was observed. */
import type { Volume, VolumeStatus, VolumeTeleportStatus } from '../../api/kinds/volume.ts';
import type { ReplicaSetObject, TeleportObject, VolumeObject } from '../../api/objects.ts';
import type { TransshipError } from '../../base/errors.ts';
import { formatBytes, formatSize } from '../../base/units.ts';
import { condition, type Report } from '../status.ts';
import type { VolumeStep } from './decide.ts';
import { isOurs, type Observation } from './observation.ts';
import { type SetReport, setReportOf } from './set-report.ts';

type Conditions = Report['conditions'];
type Fields = Omit<VolumeStatus, 'conditions' | 'observedGeneration'>;

/** Lists of who uses a volume are cut here; one that is so popular needs no complete list. */
const usersMax = 64;
/** How full a volume is changes with every write to it; how far a teleport is, people watch. */
const usageEveryMs = 15_000;
const reasonPattern = /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/;

export interface Sight {
  readonly seen: Observation;
  readonly step: VolumeStep;
  /** Of the Pool object that holds it, where known. */
  readonly poolName: string | undefined;
}

export function reportOf({ seen, step, poolName }: Sight): Report {
  const { object, blocker } = seen;
  const deleting = deletingOf(seen, step);
  const view = isOurs(seen) ? seen.view : undefined;
  // What was known stays known; only that nobody can be asked is new.
  if (blocker !== undefined && view === undefined) {
    const { conditions: _conditions, observedGeneration: _seen, ...fields } = object.status ?? {};
    return { conditions: [unknownReady(object, blocker), ...deleting], fields };
  }
  if (view === undefined) return pending(seen, step, deleting);
  const trouble = blocker ?? seen.problem ?? seen.set?.problem ?? seen.held;
  const set = seen.set === undefined ? undefined : setReportOf(object, seen.set);
  const ready = blocker === undefined ? readyOf(seen, view) : unknownReady(object, blocker);
  const isMoving = view.status.missingBytes > 0 || isScaling(set);
  return {
    conditions: [
      ready,
      completeOf(view),
      ...(blocker === undefined ? (set?.conditions ?? []) : keptOf(object)),
      ...passedOn(view),
      syncedOf(seen, trouble),
      ...deleting,
    ],
    fields: { ...fieldsOf({ seen, view, poolName }), ...setFieldsOf(seen, view, set) },
    ...(isMoving ? {} : { slowMs: usageEveryMs }),
  };
}

function unknownReady(object: Volume, blocker: TransshipError): Conditions[number] {
  const isNew = object.status?.sizeBytes === undefined;
  return condition('Ready', isNew ? false : 'Unknown', blocker.reason, blocker.message);
}

function pending(seen: Observation, step: VolumeStep, deleting: Conditions): Report {
  const { job, teleport } = seen;
  const problem = step.do === 'wait' ? step.problem : seen.problem;
  // That it was there once must not be forgotten: such a volume is never made anew.
  const { conditions: _conditions, observedGeneration: _seen, ...known } = seen.object.status ?? {};
  const wasThere = known.sizeBytes !== undefined;
  if (problem !== undefined && deleting.length === 0) {
    return {
      conditions: [condition('Ready', false, problem.reason, problem.message)],
      fields: { ...known, phase: problem.retryable && !wasThere ? 'Pending' : 'Failed' },
    };
  }
  const message =
    job?.phase === 'Running'
      ? `${formatBytes(job.doneBytes)} of ${formatBytes(job.totalBytes)} are imported`
      : 'it is being made';
  const fields: Fields = {
    ...known,
    phase: 'Initializing',
    ...(teleport === undefined ? {} : { teleport: teleportOf(teleport) }),
  };
  return { conditions: [condition('Ready', false, 'Initializing', message), ...deleting], fields };
}

function deletingOf(seen: Observation, step: VolumeStep): Conditions {
  if (seen.object.metadata.deletionTimestamp === undefined) return [];
  const problem = step.do === 'wait' ? step.problem : seen.problem;
  if (problem === undefined)
    return [condition('Deleting', true, 'Deleting', 'it is being deleted')];
  return [condition('Deleting', false, problem.reason, problem.message)];
}

function readyOf({ job, set }: Observation, view: VolumeObject): Conditions[number] {
  const offline = set?.view === undefined ? undefined : offlineOf(set.view);
  if (offline !== undefined) return offline;
  const own = view.status.conditions.find(({ type }) => type === 'Ready');
  if (own?.status === 'False') {
    return condition('Ready', false, reasonOf(own.reason), own.message);
  }
  if (view.status.doors.includes('import')) {
    const done =
      job === undefined ? '' : `${formatBytes(job.doneBytes)} of ${formatBytes(job.totalBytes)}`;
    return condition('Ready', false, 'Importing', `its content is being imported ${done}`.trim());
  }
  if (view.status.phase === 'Initializing') {
    return condition('Ready', false, 'Initializing', 'it is being made');
  }
  return condition('Ready', true, view.status.phase, 'it can be read and written');
}

/** Reads and writes wait for a majority, then fail. */
function offlineOf({ phase, replicas, quorum }: ReplicaSetObject): Conditions[number] | undefined {
  if (phase !== 'Offline' && phase !== 'Error') return undefined;
  const bad = replicas.filter(({ state }) => state !== 'Healthy');
  const who = bad.map(({ agent, state }) => `${agent} (${state})`).join(', ');
  const message = `${quorum} replicas have to answer; missing are those of agents ${who}`;
  return condition('Ready', false, 'QuorumLost', message);
}

function completeOf({ status }: VolumeObject): Conditions[number] {
  if (status.phase === 'Available') {
    return condition('Complete', true, 'Available', 'all data is here');
  }
  const { missingBytes, source = 'the source' } = status;
  const missing = `${formatBytes(missingBytes)} are still at ${source}`;
  return condition('Complete', false, status.phase, missing);
}

/** What the engine says of itself: damage, the link to the source, room to write. */
function passedOn({ status }: VolumeObject): Conditions {
  return status.conditions
    .filter(({ type }) => type !== 'Ready')
    .map(({ type, status: is, reason, message }) => {
      return condition(
        type,
        is === 'Unknown' ? 'Unknown' : is === 'True',
        reasonOf(reason),
        message,
      );
    });
}

function reasonOf(text: string): string {
  return reasonPattern.test(text) ? text : 'Unknown';
}

function syncedOf({ set }: Observation, trouble: TransshipError | undefined): Conditions[number] {
  if (trouble !== undefined) return condition('Synced', false, trouble.reason, trouble.message);
  if (set?.request !== undefined) {
    return condition('Synced', false, 'Initializing', 'its leader is being told of its replicas');
  }
  return condition('Synced', true, 'Synced', 'the agent has what the spec says');
}

function isScaling(set: SetReport | undefined): boolean {
  return (
    set?.conditions.some(({ type, status }) => {
      return (type === 'ScalingReplicas' || type === 'Degraded') && status === 'True';
    }) === true
  );
}

/** What was known of its replicas while nobody can be asked. */
function keptOf({ status }: Volume): Conditions {
  return (status?.conditions ?? [])
    .filter(({ type }) => type === 'Degraded' || type === 'ScalingReplicas')
    .map(({ type, status: is, reason, message }) => {
      return condition(type, is === 'Unknown' ? 'Unknown' : is === 'True', reason, message);
    });
}

function setFieldsOf(
  { object, set }: Observation,
  { status }: VolumeObject,
  report: SetReport | undefined,
): Partial<Fields> {
  if (report === undefined) {
    const { replicas, replicaSet } = object.status ?? {};
    return replicaSet === undefined || replicas === undefined ? {} : { replicas, replicaSet };
  }
  const { replicas, replicaSet } = report;
  const isUsable = status.phase === 'Available';
  const { phase } = set!.view!;
  const isDegraded = report.conditions.some(({ type, status: is }) => {
    return type === 'Degraded' && is === 'True';
  });
  const told = phase === 'Offline' ? phase : isDegraded ? 'Degraded' : undefined;
  return {
    replicas,
    replicaSet,
    ...(phase === 'Error' ? { phase: 'Failed' } : isUsable && told ? { phase: told } : {}),
  };
}

function fieldsOf(what: {
  readonly seen: Observation;
  readonly view: VolumeObject;
  readonly poolName: string | undefined;
}): Fields {
  const { seen, view, poolName } = what;
  const { status } = view;
  const { sizeBytes, allocatedBytes, missingBytes, unsettledBytes } = status;
  const here = Math.max(0, allocatedBytes - missingBytes);
  const progress = allocatedBytes === 0 ? 100 : Math.floor((100 * here) / allocatedBytes);
  return {
    phase: status.phase,
    sizeBytes,
    size: formatSize(sizeBytes),
    root: status.root.slice(0, 64),
    missingBytes,
    snapshots: status.snapshots,
    usage: { logicalBytes: allocatedBytes, logical: formatSize(allocatedBytes), unsettledBytes },
    doors: status.doors.slice(0, usersMax).filter((door, i, all) => all.indexOf(door) === i),
    leasedBy: status.leasedBy.slice(0, usersMax),
    ...(poolName === undefined
      ? {}
      : { replicas: [{ ...replicaOf(view, poolName, progress), ...agentOf(seen) }] }),
    ...(status.attachedTo === undefined ? {} : { attachedTo: status.attachedTo }),
    ...(status.oldestRestorable === undefined
      ? {}
      : { oldestRestorableTime: status.oldestRestorable }),
    ...(seen.teleport === undefined || seen.object.spec.source?.teleport === undefined
      ? {}
      : { teleport: teleportOf(seen.teleport) }),
  };
}

function agentOf({ agent }: Observation): { readonly agent?: string } {
  return agent === undefined ? {} : { agent };
}

function replicaOf({ status }: VolumeObject, pool: string, progress: number) {
  const damaged = status.conditions.some(({ type, status: is }) => {
    return type === 'DataDamaged' && is === 'True';
  });
  const state = damaged ? 'Degraded' : status.missingBytes > 0 ? 'Filling' : 'Healthy';
  const usedBytes = Math.max(0, status.allocatedBytes - status.missingBytes);
  return { pool, state, progress, usedBytes } as const;
}

export function teleportOf({ status }: TeleportObject): VolumeTeleportStatus {
  const { totalBytes, presentBytes, demandBytes, backgroundBytes, missingBytes } = status.progress;
  const { wireBytes, bytesPerSecond, etaMs } = status.progress;
  const link = status.conditions.find(({ type }) => type === 'SourceConnected');
  const there = Math.max(0, totalBytes - missingBytes);
  return {
    phase: status.phase,
    percent: percentOf(status.phase, there, totalBytes),
    totalBytes,
    presentBytes,
    fetchedBytes: demandBytes + backgroundBytes,
    demandBytes,
    backgroundBytes,
    missingBytes,
    wireBytes,
    bytesPerSecond,
    ...(etaMs === undefined ? {} : { etaSeconds: Math.ceil(etaMs / 1000) }),
    ...(status.accessibleTime === undefined ? {} : { accessibleTime: status.accessibleTime }),
    ...(status.completionTime === undefined ? {} : { completionTime: status.completionTime }),
    ...(link === undefined ? {} : { sourceConnected: link.status === 'True' }),
  };
}

/** 100 only when nothing is missing. */
function percentOf(phase: string, there: number, total: number): number {
  if (phase === 'Available') return 100;
  if (total === 0) return 0;
  return Math.min(99, Math.floor((100 * there) / total));
}
