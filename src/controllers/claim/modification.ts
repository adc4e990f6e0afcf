/**
 * What can be changed of a volume that lives, as parameters of a VolumeAttributesClass say it, and
 * the next step on the way there. Pure: the CSI driver and the controller of claims take the steps.
 */
import type { Volume } from '../../api/kinds/volume.ts';
import { fail } from '../../base/errors.ts';
import { type Room, wantedPools } from '../pool/moves.ts';
import { conditionOf } from '../status.ts';
import { parametersKnown, replicaCountOf } from './request.ts';

export interface Modification {
  readonly historyPolicy?: string;
  readonly replicas?: number;
}

const changeable: readonly string[] = ['historyPolicy', 'replicas'];

/** `BadArgument` for a key that is unknown or fixed, and for a value that cannot be. */
export function modificationOf(parameters: Readonly<Record<string, string>>): Modification {
  const wrong = Object.keys(parameters).find((key) => !changeable.includes(key));
  if (wrong !== undefined) {
    const why = parametersKnown.has(wrong) ? 'stays as the volume was made with' : 'is unknown';
    fail('BadArgument', `parameter '${wrong}' ${why}; can be changed: ${changeable.join(', ')}`);
  }
  const { historyPolicy, replicas } = parameters;
  if (historyPolicy === '') fail('BadArgument', "historyPolicy is empty; 'none' keeps no history");
  return {
    ...(historyPolicy === undefined ? {} : { historyPolicy }),
    ...(replicas === undefined ? {} : { replicas: replicaCountOf(parameters) }),
  };
}

export type ModifyStep =
  | { readonly do: 'patch'; readonly spec: Partial<Volume['spec']> }
  | { readonly do: 'wait'; readonly message: string }
  /** All of it is so. */
  | { readonly do: 'nothing' };

/**
 * Replicas come all at once and go one by one, each when those before it are gone. `LimitExceeded`
 * when no pool takes another one.
 */
export function stepTowards(volume: Volume, wanted: Modification, room: () => Room): ModifyStep {
  const { historyPolicy, replicas } = wanted;
  const spec: { historyPolicy?: string; replicas?: NonNullable<Volume['spec']['replicas']> } = {};
  if (historyPolicy !== undefined && volume.spec.historyPolicy !== historyPolicy) {
    spec.historyPolicy = historyPolicy;
  }
  if (replicas !== undefined) {
    const pools = poolsTowards(volume, replicas, room);
    if (typeof pools === 'string') {
      return Object.keys(spec).length === 0 ? waiting(pools) : { do: 'patch', spec };
    }
    if (pools !== undefined) spec.replicas = pools.map((pool) => ({ pool }));
  }
  if (Object.keys(spec).length > 0) return { do: 'patch', spec };
  return untilSo(volume, replicas);
}

const waiting = (message: string): ModifyStep => ({ do: 'wait', message });

/** The pools to ask for now; why not yet; undefined when those that are asked for are right. */
function poolsTowards(
  volume: Volume,
  count: number,
  room: () => Room,
): readonly string[] | string | undefined {
  const pools = wantedPools(volume);
  if (pools.length === count) return undefined;
  if (pools.length === 0) return 'it is in no pool yet';
  if (pools.length < count) return [...pools, ...morePools(volume, count - pools.length, room())];
  const there = volume.status?.replicas ?? [];
  const leaving = there.find(({ pool }) => !pools.includes(pool));
  if (leaving !== undefined) return `its replica in pool ${leaving.pool} is being taken away`;
  const leader = volume.status?.replicaSet?.leader;
  const last = pools.toReversed();
  const stateOf = (pool: string) => there.find((one) => one.pool === pool);
  const spare =
    last.find((pool) => stateOf(pool)?.state !== 'Healthy') ??
    last.find((pool) => stateOf(pool)?.agent !== leader) ??
    last[0];
  const isAnyLeft = pools.some((pool) => pool !== spare && stateOf(pool)?.state === 'Healthy');
  if (!isAnyLeft) return 'no replica that would be left is Healthy';
  return pools.filter((pool) => pool !== spare);
}

function morePools(volume: Volume, count: number, room: Room): readonly string[] {
  const pools = wantedPools(volume);
  const sizes = (volume.status?.replicas ?? []).map(({ allocatedBytes, usedBytes }) => {
    return allocatedBytes ?? usedBytes ?? 0;
  });
  const bytes = Math.max(0, ...sizes);
  const agents = new Set(room.agentsOf(pools));
  const chosen: string[] = [];
  while (chosen.length < count) {
    const [best] = room.open(bytes, agents);
    if (best === undefined) {
      const others = room.names.filter((name) => ![...pools, ...chosen].includes(name));
      const wanted = pools.length + count;
      const why = room.why(bytes, agents, others);
      fail('LimitExceeded', `${wanted} replicas are asked for, and no pool takes another: ${why}`);
    }
    chosen.push(best.name);
    agents.add(best.agent);
  }
  return chosen;
}

function untilSo(volume: Volume, replicas: number | undefined): ModifyStep {
  const synced = conditionOf(volume, 'Synced');
  const { generation = 0 } = volume.metadata;
  const seen = synced?.observedGeneration ?? volume.status?.observedGeneration ?? 0;
  if (synced === undefined || seen < generation)
    return waiting('its agent has not heard of it yet');
  if (synced.status !== 'True') return waiting(`${synced.reason}: ${synced.message}`);
  if (replicas === undefined) return { do: 'nothing' };
  const there = volume.status?.replicas ?? [];
  const other = there.find(({ state }) => state !== 'Healthy');
  if (other !== undefined) return waiting(`its replica in pool ${other.pool} is ${other.state}`);
  if (there.length === replicas) return { do: 'nothing' };
  return waiting(`it has ${there.length} replicas of ${replicas}`);
}
