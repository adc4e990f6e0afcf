/** What users do: they make, change and delete objects, and write into volumes. */
import type { HistoryPolicy } from '../../src/api/kinds/history-policy.ts';
import { historyPolicies } from '../../src/api/kinds/history-policy.ts';
import { pools } from '../../src/api/kinds/pool.ts';
import { type Teleport, teleports } from '../../src/api/kinds/teleport.ts';
import { type Volume, volumes } from '../../src/api/kinds/volume.ts';
import { annotations } from '../../src/controllers/labels.ts';
import type { KubeObject, ResourceType } from '../../src/kube/objects.ts';
import { keyOf } from '../../src/kube/objects.ts';
import {
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../src/kube/resources.ts';
import type { ControlWorld, SimCluster } from './control-world.ts';

export type UserStep = (world: ControlWorld, cluster: SimCluster) => Promise<unknown>;

export const namespaces = ['apps', 'data'] as const;
const objectsMax = 6;

export const userSteps = {
  claim,
  volume,
  policy,
  teleport,
  teleportVolume,
  wrongTeleport,
  cloneClaim,
  deleteClaim: (world, cluster) => deleteOne(world, cluster, persistentVolumeClaims),
  deleteVolume: (world, cluster) => deleteOne(world, cluster, volumes),
  deleteTeleport: (world, cluster) => deleteOne(world, cluster, teleports),
  deletePolicy: (world, cluster) => deleteOne(world, cluster, historyPolicies),
  deleteBound: (world, cluster) => deleteOne(world, cluster, persistentVolumes),
  growClaim,
  growVolume,
  editTeleport,
  editPolicy,
  setPolicy,
  setPool,
} satisfies Record<string, UserStep>;

type Any = KubeObject;

/** One of what a cluster has of a kind; users take what they see. */
function pick<T extends Any>(
  world: ControlWorld,
  cluster: SimCluster,
  kind: string,
): T | undefined {
  const all = cluster.api
    .list<T>(kind)
    .filter((one) => one.metadata.deletionTimestamp === undefined);
  return all.length === 0 ? undefined : world.rng.pick(all);
}

function isFull({ api }: SimCluster, kind: string): boolean {
  return api.list(kind).length >= objectsMax;
}

async function claim(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  if (isFull(cluster, 'PersistentVolumeClaim') || cluster.agent === undefined) return undefined;
  const { rng } = world;
  const storageClassName = rng.chance(0.05)
    ? 'missing'
    : rng.pick(['transship', 'transship', 'other']);
  return cluster.admin.create<PersistentVolumeClaim>(persistentVolumeClaims, {
    metadata: { namespace: rng.pick(namespaces), name: world.unique('claim') },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName,
      resources: { requests: { storage: rng.pick(['1Mi', '1Mi', '2Mi', '1100Ki']) } },
      ...(rng.chance(0.3) ? { volumeMode: 'Block' as const } : {}),
    },
  });
}

async function cloneClaim(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  const source = pick<PersistentVolumeClaim>(world, cluster, 'PersistentVolumeClaim');
  if (source === undefined || isFull(cluster, 'PersistentVolumeClaim')) return undefined;
  const { namespace = '', name = '' } = source.metadata;
  const byName = world.rng.chance(0.5);
  return cluster.admin.create<PersistentVolumeClaim>(persistentVolumeClaims, {
    metadata: {
      namespace,
      name: world.unique('clone'),
      ...(byName ? { annotations: { [annotations.sourceClaim]: name } } : {}),
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'transship',
      resources: { requests: { storage: '2Mi' } },
      ...(byName ? {} : { dataSource: { kind: 'PersistentVolumeClaim', name } }),
    },
  });
}

async function volume(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  if (isFull(cluster, 'Volume') || cluster.agent === undefined) return undefined;
  const { rng } = world;
  const source = rng.chance(0.2) ? pick<Volume>(world, cluster, 'Volume') : undefined;
  const policy = rng.chance(0.3) ? pick<HistoryPolicy>(world, cluster, 'HistoryPolicy') : undefined;
  const blockSize = rng.pick([undefined, '4Ki', '64Ki'] as const);
  return cluster.admin.create<Volume>(volumes, {
    metadata: { name: rng.chance(0.1) ? 'shared' : world.unique('vol') },
    spec: {
      ...(source === undefined
        ? { size: rng.pick(['1Mi', '2Mi']), ...(blockSize === undefined ? {} : { blockSize }) }
        : { source: { clone: { volume: source.metadata.name ?? '' } } }),
      ...(policy === undefined ? {} : { historyPolicy: policy.metadata.name ?? '' }),
    },
  });
}

async function policy(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  if (cluster.api.list('HistoryPolicy').length >= objectsMax + 4) return undefined;
  return cluster.admin.create<HistoryPolicy>(historyPolicies, {
    metadata: { name: world.unique('policy') },
    spec: { seconds: world.rng.pick(['0s', '60s']), minutes: '1h' },
  });
}

/** Where users make teleports: in the source, the destination, or a third cluster. */
function hubOf(world: ControlWorld): SimCluster {
  return world.rng.pick(world.clusters);
}

function otherThan(world: ControlWorld, cluster: SimCluster): SimCluster {
  return world.rng.pick(world.stores.filter((one) => one !== cluster));
}

function options(world: ControlWorld) {
  const { rng } = world;
  return {
    ...(rng.chance(0.3) ? { thin: true } : {}),
    ...(rng.chance(0.3) ? { bandwidth: rng.pick(['64Ki', '1Mi']) } : {}),
  };
}

async function teleport(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  const source = pick<PersistentVolumeClaim>(world, cluster, 'PersistentVolumeClaim');
  if (source === undefined) return undefined;
  const { rng } = world;
  const { namespace = '', name = '' } = source.metadata;
  const target = otherThan(world, cluster);
  const isRenamed = rng.chance(0.6);
  const hub = hubOf(world);
  return hub.admin.create<Teleport>(teleports, {
    metadata: { namespace: 'default', name: world.unique('move') },
    spec: {
      source: { cluster: cluster.name, namespace, claim: name },
      destination: {
        cluster: target.name,
        ...(rng.chance(0.2) ? { namespace: rng.pick(namespaces) } : {}),
        ...(isRenamed ? { claim: world.unique('moved') } : {}),
        ...(rng.chance(0.2) ? { storageClass: 'transship' } : {}),
      },
      ...options(world),
    },
  });
}

async function teleportVolume(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  const source = pick<Volume>(world, cluster, 'Volume');
  if (source === undefined) return undefined;
  const target = otherThan(world, cluster);
  const hub = hubOf(world);
  const isRenamed = world.rng.chance(0.8);
  return hub.admin.create<Teleport>(teleports, {
    metadata: { namespace: 'default', name: world.unique('move') },
    spec: {
      source: { cluster: cluster.name, volume: source.metadata.name ?? '' },
      destination: {
        cluster: target.name,
        ...(isRenamed ? { volume: world.unique('tv') } : {}),
      },
      ...options(world),
    },
  });
}

async function wrongTeleport(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  const { rng } = world;
  const source = pick<PersistentVolumeClaim>(world, cluster, 'PersistentVolumeClaim');
  const { namespace = 'apps', name = 'nothing' } = source?.metadata ?? {};
  const target = otherThan(world, cluster).name;
  const kind = rng.pick(['namespace', 'taken', 'cluster', 'claim', 'policy', 'class'] as const);
  const taken = pick<PersistentVolumeClaim>(world, world.find(target)!, 'PersistentVolumeClaim');
  const places = {
    namespace: { cluster: target, namespace: 'nowhere' },
    taken: {
      cluster: target,
      ...(taken?.metadata.namespace === undefined ? {} : { namespace: taken.metadata.namespace }),
      claim: taken?.metadata.name ?? name,
    },
    cluster: { cluster: 'nowhere' },
    claim: { cluster: target },
    policy: { cluster: target, claim: world.unique('moved'), historyPolicy: 'nothing' },
    class: { cluster: target, claim: world.unique('moved'), storageClass: 'foreign' },
  };
  return hubOf(world).admin.create<Teleport>(teleports, {
    metadata: { namespace: 'default', name: world.unique('wrong') },
    spec: {
      source: { cluster: cluster.name, namespace, claim: kind === 'claim' ? 'nothing' : name },
      destination: places[kind],
    },
  });
}

async function deleteOne<T extends Any>(
  world: ControlWorld,
  cluster: SimCluster,
  type: ResourceType<T>,
): Promise<unknown> {
  const object = pick<T>(world, cluster, type.kind);
  if (object === undefined) return undefined;
  cluster.intents.user(object);
  return cluster.admin.delete(type as ResourceType, keyOf(object), {
    uid: object.metadata.uid ?? '',
  });
}

async function growClaim(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  const object = pick<PersistentVolumeClaim>(world, cluster, 'PersistentVolumeClaim');
  if (object?.status?.phase !== 'Bound') return undefined;
  return cluster.admin.patch(persistentVolumeClaims, keyOf(object), {
    spec: { resources: { requests: { storage: '3Mi' } } },
  });
}

async function growVolume(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  const object = pick<Volume>(world, cluster, 'Volume');
  if (object === undefined) return undefined;
  return cluster.admin.patch(volumes, keyOf(object), { spec: { size: '4Mi' } });
}

async function editTeleport(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  const object = pick<Teleport>(world, cluster, 'Teleport');
  if (object === undefined) return undefined;
  const spec = world.rng.chance(0.5)
    ? { thin: false }
    : { bandwidth: world.rng.pick(['8Mi', null]) };
  return cluster.admin.patch(teleports, keyOf(object), { spec });
}

async function editPolicy(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  const object = pick<HistoryPolicy>(world, cluster, 'HistoryPolicy');
  if (object === undefined) return undefined;
  const spec = { seconds: world.rng.pick(['10s', '2m']) };
  return cluster.admin.patch(historyPolicies, keyOf(object), { spec });
}

async function setPolicy(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  const object = pick<Volume>(world, cluster, 'Volume');
  const policyObject = pick<HistoryPolicy>(world, cluster, 'HistoryPolicy');
  if (object === undefined || policyObject === undefined) return undefined;
  const spec = { historyPolicy: policyObject.metadata.name ?? '' };
  return cluster.admin.patch(volumes, keyOf(object), { spec });
}

/** Deleted pools come back; edited ones keep what the agent says. */
async function setPool(world: ControlWorld, cluster: SimCluster): Promise<unknown> {
  const object = pick<Any>(world, cluster, 'Pool');
  if (object === undefined) return undefined;
  cluster.intents.user(object);
  return cluster.admin.delete(pools as ResourceType, keyOf(object));
}
