/** What the status of a volume says of its replicas. Pure. */
import type { Volume, VolumeStatus } from '../../api/kinds/volume.ts';
import type { ReplicaSetObject, ReplicaView } from '../../api/objects.ts';
import { formatBytes } from '../../base/units.ts';
import { condition, type Report } from '../status.ts';
import type { SetSight } from './set-sight.ts';

type Conditions = Report['conditions'];
type Replica = NonNullable<VolumeStatus['replicas']>[number];
type ReplicaSet = NonNullable<VolumeStatus['replicaSet']>;

const messageMax = 1024;

export interface SetReport {
  readonly conditions: Conditions;
  readonly replicas: readonly Replica[];
  readonly replicaSet: ReplicaSet;
}

/** Undefined while there is no set: a plain volume tells of its one replica itself. */
export function setReportOf(object: Volume, set: SetSight): SetReport | undefined {
  const { view } = set;
  if (view === undefined) return undefined;
  const replicas = replicasOf(view, set);
  const before = poolsBefore(object, replicas);
  const wanted = wantedOf(view, set);
  const isSettled = set.problem === undefined && settled(view, wanted, replicas);
  const healthy = wanted.filter((pool) => isHealthy(replicas, pool)).length;
  const replicaSet: ReplicaSet = {
    leader: view.leader ?? object.status?.replicaSet?.leader ?? '',
    epoch: view.epoch,
    quorum: view.quorum,
    wanted: wanted.length,
    healthy,
    shown: `${healthy}/${wanted.length}`,
    pools: isSettled ? wanted : before,
  };
  const change = { wanted, replicas, before, isSettled };
  return {
    conditions: [degradedOf(replicas, wanted), scalingOf(set, view, change)],
    replicas,
    replicaSet,
  };
}

/** Of a volume that just became a replicated one: what it had, and what it is led with. */
function poolsBefore({ status }: Volume, replicas: readonly Replica[]): readonly string[] {
  const { replicaSet, replicas: shown = [] } = status ?? {};
  if (replicaSet?.pools !== undefined) return replicaSet.pools;
  const known = shown.length > 0 ? shown : replicas.filter(({ voter }) => voter === true);
  return known.map(({ pool }) => pool);
}

/** The pools that are asked for, in the order of the spec. */
function wantedOf(view: ReplicaSetObject, { wanted, names }: SetSight): readonly string[] {
  if (wanted !== undefined) return wanted.map(({ pool }) => pool);
  return view.wanted.map((text) => names.findText(text).pool);
}

function isHealthy(replicas: readonly Replica[], pool: string): boolean {
  return replicas.some((one) => one.pool === pool && one.voter === true && one.state === 'Healthy');
}

/** Exactly the wanted ones count, and nothing is left over. */
function settled(
  view: ReplicaSetObject,
  wanted: readonly string[],
  replicas: readonly Replica[],
): boolean {
  if (view.blocker !== undefined || replicas.length !== wanted.length) return false;
  return wanted.every((pool) => replicas.some((one) => one.pool === pool && one.voter === true));
}

function replicasOf(view: ReplicaSetObject, { names }: SetSight): readonly Replica[] {
  const order = view.wanted;
  const rank = ({ agent, pool }: ReplicaView): number => {
    const index = order.indexOf(`${agent}/${pool}`);
    return index < 0 ? order.length : index;
  };
  return view.replicas.toSorted((a, b) => rank(a) - rank(b)).map((one) => replicaOf(one, names));
}

function replicaOf(one: ReplicaView, names: SetSight['names']): Replica {
  const { pool, node, agent, at } = names.find(one);
  const { state, voter, usedBytes, allocatedBytes, missingBytes, totalBytes } = one;
  const { bytesPerSecond, etaSeconds, message } = one;
  return {
    pool,
    node,
    agent,
    at,
    // What counts for the majority had everything once: a new leader has not heard of it yet.
    state: voter && state === 'ReconstructingNewReplica' ? 'Rebuilding' : state,
    voter,
    progress: progressOf(one),
    usedBytes: Math.max(0, Math.min(usedBytes, totalBytes - missingBytes)),
    allocatedBytes,
    missingBytes,
    totalBytes,
    bytesPerSecond,
    ...(etaSeconds === undefined ? {} : { etaSeconds }),
    ...(message === '' ? {} : { message: message.slice(0, messageMax) }),
  };
}

/** 100 only when nothing is missing. */
function progressOf({ state, missingBytes, percent }: ReplicaView): number {
  if (state === 'Healthy') return 100;
  return Math.min(missingBytes === 0 ? 100 : 99, Math.max(0, Math.floor(percent)));
}

/** Of those that count and are to stay: one that is being made takes nothing away. */
function degradedOf(replicas: readonly Replica[], wanted: readonly string[]): Conditions[number] {
  const bad = replicas.filter(({ pool, voter, state }) => {
    return voter === true && state !== 'Healthy' && wanted.includes(pool);
  });
  if (bad.length === 0) {
    return condition('Degraded', false, 'Healthy', 'every replica that counts is Healthy');
  }
  const worst = bad.find(({ state }) => state === 'Error' || state === 'Offline') ?? bad[0]!;
  const text = bad.map(({ pool, state, message }) => {
    return `pool ${pool} is ${state}${message === undefined ? '' : ` (${message})`}`;
  });
  return condition('Degraded', true, `Replica${worst.state}`, text.join('; '));
}

interface ChangeOfSet {
  readonly wanted: readonly string[];
  readonly replicas: readonly Replica[];
  /** The pools it had when it was last settled. */
  readonly before: readonly string[];
  readonly isSettled: boolean;
}

function scalingOf(set: SetSight, view: ReplicaSetObject, change: ChangeOfSet): Conditions[number] {
  const { wanted, replicas, isSettled } = change;
  if (set.problem !== undefined) {
    return condition('ScalingReplicas', false, set.problem.reason, set.problem.message);
  }
  if (isSettled) {
    const text = `${wanted.length} ${wanted.length === 1 ? 'replica' : 'replicas'}, as asked for`;
    return condition('ScalingReplicas', false, 'Scaled', text);
  }
  const told = set.request === undefined && view.blocker !== undefined;
  const { reason, text } = kindOf(change);
  const parts = [text, ...replicas.flatMap(progressText)];
  if (told) parts.push(`it waits: ${view.blocker}`);
  return condition('ScalingReplicas', true, reason, parts.join('; '));
}

/** What the events say as well, so it stays the same while it goes on. */
export function kindOf({ wanted, replicas, before }: Omit<ChangeOfSet, 'isSettled'>): {
  readonly reason: 'ScalingUp' | 'ScalingDown' | 'Moving';
  readonly text: string;
} {
  const known = new Set([...before, ...replicas.map(({ pool }) => pool)]);
  const going = [...known].filter((pool) => !wanted.includes(pool));
  const coming = wanted.filter((pool) => !before.includes(pool));
  if (coming.length > 0 && going.length > 0) {
    return { reason: 'Moving', text: `from pool ${going.join(', ')} to ${coming.join(', ')}` };
  }
  if (going.length > 0) {
    const from = wanted.length + going.length;
    return { reason: 'ScalingDown', text: `from ${from} to ${wanted.length} replicas` };
  }
  return { reason: 'ScalingUp', text: `from ${before.length} to ${wanted.length} replicas` };
}

function progressText({ pool, state, progress, missingBytes = 0 }: Replica): readonly string[] {
  if (state !== 'Rebuilding' && state !== 'ReconstructingNewReplica') return [];
  return [`pool ${pool} has ${progress} %, ${formatBytes(missingBytes)} are missing`];
}
