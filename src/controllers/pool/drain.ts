/**
 * Drains of pools: every replica moves to another pool by an edit of its Volume, a few at a time.
 * All state is in the objects: which volumes name the pool, and which still have a replica there.
 */
import type { Pool, PoolStatus } from '../../api/kinds/pool.ts';
import { type Volume, volumes } from '../../api/kinds/volume.ts';
import { asTransshipError } from '../../base/errors.ts';
import { keyOf } from '../../kube/objects.ts';
import type { Context } from '../context.ts';
import { condition, conditionOf, type Report } from '../status.ts';
import {
  type Hindrance,
  isLeaving,
  type Move,
  movesAtOnce,
  planDrain,
  wantedPools,
} from './moves.ts';

const listedMax = 64;
const messageMax = 1024;
/** Room, agents and the health of volumes change without anybody telling. */
const hinderedAgainMs = 15_000;

export interface DrainReport {
  readonly conditions: Report['conditions'];
  readonly fields: Pick<PoolStatus, 'drain' | 'phase'>;
  readonly againMs: number | undefined;
}

/** Begins what can be begun now. Undefined: no drain is asked for. */
export async function advanceDrain(context: Context, pool: Pool): Promise<DrainReport | undefined> {
  const { client, informers } = context;
  const { drain } = pool.spec;
  if (drain === undefined) return undefined;
  const { name = '' } = pool.metadata;
  const all = [...informers.volumes.list()];
  const moving = all.filter((one) => isLeaving(one, name)).map(nameOf);
  const { moves, hindrances } = planDrain(name, informers.pools.list(), all, drain.to);
  const due = moves.slice(0, Math.max(0, movesAtOnce - moving.length));
  for (const move of due) {
    const volume = informers.volumes.get({ namespace: '', name: move.volume });
    if (volume === undefined) continue;
    try {
      await client.patch(volumes, keyOf(volume), editOf(volume, move));
      moving.push(move.volume);
    } catch (error) {
      // Somebody else changed it meanwhile: it is looked at again as it is then.
      if (asTransshipError(error).reason !== 'Conflict') throw error;
    }
  }
  const waiting = moves.length - due.length + hindrances.length;
  const stuck = all.filter((one) => isLeaving(one, name)).flatMap(stuckWords);
  const report = reportOf({ moving, waiting, hindrances, stuck });
  tell(context, pool, report);
  return report;
}

function nameOf({ metadata }: Volume): string {
  return metadata.name ?? '';
}

/** The new pool in the place of the old one: a move, which takes away nothing before its end. */
function editOf(volume: Volume, { from, to }: Move): Readonly<Record<string, unknown>> {
  const { uid, resourceVersion } = volume.metadata;
  const replicas = wantedPools(volume).map((pool) => ({ pool: pool === from ? to : pool }));
  return { metadata: { uid, resourceVersion }, spec: { replicas } };
}

/** A move that was begun, and what its volume says is in its way. */
function stuckWords(volume: Volume): readonly string[] {
  const synced = conditionOf(volume, 'Synced');
  if (synced?.status !== 'False' || synced.reason === 'Initializing') return [];
  return [`${nameOf(volume)} waits: ${synced.message}`];
}

function reportOf(what: {
  readonly moving: readonly string[];
  readonly waiting: number;
  readonly hindrances: readonly Hindrance[];
  readonly stuck: readonly string[];
}): DrainReport {
  const { moving, waiting, hindrances, stuck } = what;
  const remaining = moving.length + waiting;
  const blocked = hindrances.slice(0, listedMax).map(({ volume, problem }) => {
    return { volume, message: problem.message.slice(0, messageMax) };
  });
  const drain = { moving: moving.slice(0, listedMax), remaining, blocked };
  const againMs = hindrances.length > 0 ? hinderedAgainMs : undefined;
  if (remaining === 0) {
    const done = condition('Drained', true, 'Drained', 'no replica is left here');
    return { conditions: [done], fields: { drain, phase: 'Drained' }, againMs };
  }
  const parts = [`${remaining} ${remaining === 1 ? 'volume has' : 'volumes have'} a replica here`];
  if (moving.length > 0) parts.push(`moving: ${moving.slice(0, listedMax).join(', ')}`);
  parts.push(...stuck);
  const [first] = hindrances;
  if (first !== undefined) parts.push(...hindrances.map(({ problem }) => problem.message));
  const isStuck = moving.length === 0 && first !== undefined;
  const reason = isStuck ? first.problem.reason : 'Moving';
  const state = condition('Drained', false, reason, parts.join('; '));
  return { conditions: [state], fields: { drain, phase: 'Draining' }, againMs };
}

/** Each turn once: that it begins, that something is in the way, that nothing is left. */
function tell({ ports }: Context, pool: Pool, { conditions }: DrainReport): void {
  const now = conditions[0]!;
  const before = conditionOf(pool, 'Drained');
  if (before?.reason === now.reason) return;
  const isBad = now.reason !== 'Drained' && now.reason !== 'Moving';
  ports.events.record({
    regarding: pool,
    type: isBad ? 'Warning' : 'Normal',
    reason: isBad ? 'PoolDrainBlocked' : now.reason === 'Drained' ? 'PoolDrained' : 'PoolDraining',
    action: 'Draining',
    note: now.message ?? '',
  });
}

/** Pools whose drain a change of a volume may concern. */
export function drainKeysOf(
  context: Context,
  changed: readonly (Volume | undefined)[],
): readonly string[] {
  const names = new Set<string>();
  for (const volume of changed) {
    if (volume === undefined) continue;
    for (const pool of wantedPools(volume)) names.add(pool);
    for (const { pool } of volume.status?.replicas ?? []) names.add(pool);
  }
  return [...names].filter((name) => {
    return context.informers.pools.get({ namespace: '', name })?.spec.drain !== undefined;
  });
}
