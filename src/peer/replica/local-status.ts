/** What a replica kept here says of itself, and what it does between two writes. */
import type { Condition, PoolApi, VolumeApi } from '../../volume/api.ts';
import type { Member } from '../../volume/replica-types.ts';
import type { PointOperation, ReplicaStatus } from './api.ts';
import type { FillRun } from './fill-run.ts';

export function statusOf(of: {
  readonly member: Member;
  readonly pool: PoolApi;
  readonly volume: VolumeApi;
  readonly fill: FillRun | undefined;
}): ReplicaStatus {
  const { member, pool, volume, fill: running } = of;
  const { replica, name } = volume;
  const { sizeBytes, blockBytes, root, policy, allocatedBytes, conditions } = volume.status();
  const document = replica.document ?? noReplica;
  const { phase, problem } = poolProblem(pool);
  const fill = running?.status();
  const missing = fill?.missingBytes ?? (document.phase === 'Healthy' ? 0 : allocatedBytes);
  return {
    member,
    volume: name,
    set: document.set,
    promised: document.promised,
    configuration: document.configuration,
    phase: phase === 'Failed' ? 'Lost' : document.phase,
    mark: replica.mark,
    points: document.points ?? 0,
    durable: replica.durable,
    fallback: document.fallback,
    sizeBytes,
    blockBytes,
    root,
    allocatedBlocks: allocatedBytes / blockBytes,
    policy,
    snapshots: volume.listSnapshots(),
    fill,
    presentBytes: Math.max(0, allocatedBytes - missing),
    problem,
    damage: damageIn(conditions),
  };
}

const noReplica = {
  set: '',
  promised: { epoch: 0, term: '', leader: '' },
  configuration: { epoch: 0, version: 0, voters: [], learners: [] },
  phase: 'Healthy' as const,
  points: 0,
  fallback: undefined,
};

function poolProblem(pool: PoolApi): { readonly phase: string; readonly problem: string } {
  const { phase, readOnly } = pool.status();
  const problem = phase === 'Failed' ? 'the pool failed' : readOnly ? 'the pool is full' : '';
  return { phase, problem };
}

/** The status that a condition has while something of a volume cannot be read any more. */
const damages: ReadonlyMap<string, Condition['status']> = new Map([
  // A journal that rots cannot be settled: it never gets whole by itself.
  ['Settled', 'False'],
  ['DataDamaged', 'True'],
]);

function isDamage({ type, status, reason }: Condition): boolean {
  return damages.get(type) === status && reason === 'DataCorrupt';
}

function damageIn(conditions: readonly Condition[]): string {
  return conditions.find(isDamage)?.message ?? '';
}

/** Its content is replaced: whatever was wrong with it is no more. */
export function forgetDamage(volume: VolumeApi): void {
  const message = 'its content is replaced by that of another replica';
  for (const { type, status } of volume.status().conditions.filter(isDamage)) {
    const good = status === 'True' ? 'False' : 'True';
    volume.setCondition({ type, status: good, reason: 'Healed', message });
  }
}

/** May be asked again: what is so already is left alone. */
export async function pointAt(volume: VolumeApi, operation: PointOperation): Promise<void> {
  const has = (name: string) => volume.listSnapshots().some((one) => one.name === name);
  switch (operation.kind) {
    case 'snapshot': {
      const { name, atMs } = operation;
      if (!has(name)) await volume.snapshot(name, { atMs });
      return;
    }
    case 'deleteSnapshot':
      if (has(operation.name)) await volume.deleteSnapshot(operation.name);
      return;
    case 'resize':
      if (volume.sizeBytes !== operation.sizeBytes) {
        await volume.resize(operation.sizeBytes, { force: true });
      }
      return;
    case 'policy':
      await volume.setPolicy(operation.policy);
  }
}
