/** The engine's state as versioned objects. */
import {
  apiVersion,
  type ConditionView,
  type PoolObject,
  type SnapshotObject,
  type VolumeObject,
} from '../api/objects.ts';
import { exactSize, formatMoment } from '../base/units.ts';
import type { Condition, SnapshotInfo } from '../volume/api.ts';
import type { Policies } from './policies.ts';
import type { Located } from './pools.ts';
import type { OpenPool } from './ports.ts';

export function conditionView(condition: Condition): ConditionView {
  const { type, status, reason, message, sinceMs } = condition;
  return { type, status, reason, message, lastTransitionTime: formatMoment(sinceMs) };
}

export interface VolumeFacts {
  readonly cluster: string;
  readonly policies: Policies;
  readonly missingBytes: number;
  readonly attachedTo: string | undefined;
}

export function volumeView({ pool, volume }: Located, facts: VolumeFacts): VolumeObject {
  const status = volume.status();
  const { oldestMs } = volume.history();
  const { origin } = status;
  return {
    kind: 'Volume',
    apiVersion,
    metadata: {
      name: status.name,
      cluster: facts.cluster,
      uid: status.id,
      creationTimestamp: formatMoment(status.createdMs),
    },
    spec: {
      size: exactSize(status.sizeBytes),
      blockSize: exactSize(status.blockBytes),
      pool: pool.name,
      historyPolicy: facts.policies.nameFor(status.id, status.policy),
    },
    status: {
      phase: status.phase,
      sizeBytes: status.sizeBytes,
      allocatedBytes: status.allocatedBytes,
      missingBytes: facts.missingBytes,
      unsettledBytes: status.unsettledBytes,
      root: status.root,
      snapshots: status.snapshots,
      ...(oldestMs === undefined ? {} : { oldestRestorable: formatMoment(oldestMs) }),
      doors: volume.doors(),
      leasedBy: leaseHolders({ pool, volume }),
      ...(facts.attachedTo === undefined ? {} : { attachedTo: facts.attachedTo }),
      ...(origin === undefined
        ? {}
        : { source: `${origin.cluster}/${origin.volume}`, teleport: origin.teleport }),
      conditions: status.conditions.map(conditionView),
    },
  };
}

function leaseHolders({ pool, volume }: Located): readonly string[] {
  const own = pool.api.leases().filter((lease) => lease.volume === volume.name);
  return [...new Set(own.map(({ holder }) => holder))];
}

export function poolView(pool: OpenPool, cluster: string): PoolObject {
  const { id, phase, conditions, ...numbers } = pool.api.status();
  return {
    kind: 'Pool',
    apiVersion,
    metadata: { name: pool.name, cluster, uid: id },
    spec: { path: pool.path, capacity: exactSize(numbers.capacityBytes) },
    status: {
      phase,
      ...numbers,
      volumes: pool.api.volumes().length,
      conditions: conditions.map(conditionView),
    },
  };
}

export function snapshotView(
  info: SnapshotInfo,
  facts: { readonly volume: string; readonly blockBytes: number; readonly cluster: string },
): SnapshotObject {
  return {
    kind: 'Snapshot',
    apiVersion,
    metadata: {
      name: info.name,
      cluster: facts.cluster,
      creationTimestamp: formatMoment(info.atMs),
    },
    spec: { volume: facts.volume },
    status: {
      sizeBytes: info.sizeBytes,
      allocatedBytes: info.allocatedBlocks * facts.blockBytes,
      root: info.root,
      trace: info.hasTrace,
    },
  };
}
