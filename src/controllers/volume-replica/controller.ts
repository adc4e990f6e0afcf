/**
 * The view of each replica of a volume: an object per replica that the status of the Volume names,
 * made and deleted with it, so that `kubectl get volumereplicas` is a table of them. Nothing is
 * decided by what these objects say.
 */
import { createHash } from 'node:crypto';
import { type Volume, volumes } from '../../api/kinds/volume.ts';
import { type VolumeReplica, volumeReplicas } from '../../api/kinds/volume-replica.ts';
import { unlessThere } from '../../base/errors.ts';
import { formatAge, formatSize } from '../../base/units.ts';
import type { Outcome } from '../../kube/api.ts';
import { apiVersionOf, keyOf } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { Context, Controller } from '../context.ts';
import { labels } from '../labels.ts';
import { condition, type Report } from '../status.ts';

type Replica = NonNullable<NonNullable<Volume['status']>['replicas']>[number];

/** Keys are names of volumes. */
export class VolumeReplicaController implements Controller {
  readonly name = 'VolumeReplica';
  readonly concurrency = 4;
  readonly sources: readonly Source[];
  readonly #c: Context;

  constructor(context: Context) {
    this.#c = context;
    const { informers } = context;
    this.sources = [
      watching(informers.volumes),
      watching(informers.volumeReplicas, ({ before, now }) => {
        return [before, now].flatMap((one) => one?.spec.volume ?? []);
      }),
    ];
  }

  async reconcile(name: string): Promise<Outcome> {
    const { informers, client, statuses } = this.#c;
    const volume = informers.volumes.get({ namespace: '', name });
    const { replicaSet, replicas = [] } = volume?.status ?? {};
    const shown = replicaSet === undefined ? [] : replicas;
    const waits: number[] = [];
    for (const object of informers.volumeReplicas.byIndex('volume', name)) {
      if (shown.some((one) => isOf(object, volume!, one))) continue;
      const { uid, deletionTimestamp } = object.metadata;
      if (deletionTimestamp !== undefined) continue;
      await client.delete(volumeReplicas, keyOf(object), uid === undefined ? {} : { uid });
    }
    for (const replica of shown) {
      const object = await this.#made(volume!, replica);
      if (object === undefined) continue;
      const againMs = await statuses.write(volumeReplicas, object, reportOf(replica));
      if (againMs !== undefined) waits.push(againMs);
    }
    return waits.length === 0 ? {} : { againAfterMs: Math.min(...waits) };
  }

  /** Undefined while an earlier one of that name still goes: it is told when it is gone. */
  async #made(volume: Volume, replica: Replica): Promise<VolumeReplica | undefined> {
    const { client, informers, statuses } = this.#c;
    const { name = '' } = volume.metadata;
    const all = [...informers.volumeReplicas.byIndex('volume', name)];
    const known = all.find((one) => isOf(one, volume, replica));
    if (known !== undefined) {
      return known.metadata.deletionTimestamp === undefined ? statuses.newest(known) : undefined;
    }
    for (const candidate of namesOf(name, replica.pool)) {
      const there = await client.get(volumeReplicas, { namespace: '', name: candidate });
      if (there === undefined) return this.#make(candidate, volume, replica);
      if (isOf(there, volume, replica)) return there;
      // Of this volume, but an earlier one of its name: that goes first.
      if (there.spec.volume === name && there.spec.pool === replica.pool) return undefined;
    }
    return undefined;
  }

  async #make(
    candidate: string,
    volume: Volume,
    { pool, node }: Replica,
  ): Promise<VolumeReplica | undefined> {
    const { name = '', uid = '' } = volume.metadata;
    const owner = { apiVersion: apiVersionOf(volumes), kind: volumes.kind, name, uid };
    return unlessThere(
      this.#c.client.create<VolumeReplica>(volumeReplicas, {
        metadata: {
          name: candidate,
          labels: { [labels.volume]: name },
          ownerReferences: [{ ...owner, controller: true }],
        },
        spec: { volume: name, pool, ...(node === undefined ? {} : { node }) },
      }),
    );
  }
}

/** Made for this volume, not for an earlier one of its name. */
function isOf({ metadata, spec }: VolumeReplica, volume: Volume, replica: Replica): boolean {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  const isSame = spec.volume === volume.metadata.name && spec.pool === replica.pool;
  return isSame && owner?.uid === volume.metadata.uid;
}

/** As cStor names them; `a-b` with `c` and `a` with `b-c` would be alike. */
function namesOf(volume: string, pool: string): readonly string[] {
  const name = `${volume}-${pool}`;
  const sum = createHash('sha256').update(`${volume}/${pool}`).digest('hex').slice(0, 8);
  return [name, `${name}-${sum}`];
}

function reportOf(replica: Replica): Report {
  const { state, voter, message, usedBytes = 0, allocatedBytes = 0, etaSeconds } = replica;
  const { pool: _pool, node: _node, agent: _agent, at: _at, state: _state, ...numbers } = replica;
  const isReady = state === 'Healthy' && voter === true;
  const why = message ?? (isReady ? 'it has everything' : 'it does not count for the majority yet');
  const isMoving = state === 'Rebuilding' || state === 'ReconstructingNewReplica';
  return {
    conditions: [condition('Ready', isReady, state, why)],
    fields: {
      phase: state,
      ...numbers,
      used: formatSize(usedBytes),
      allocated: formatSize(allocatedBytes),
      ...(etaSeconds === undefined ? {} : { eta: formatAge(etaSeconds * 1000) }),
    },
    slowMs: isMoving ? 1_000 : 10_000,
  };
}
