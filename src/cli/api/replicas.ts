/** Replicas of volumes through the API: what is asked for, and waiting until it is so. */
import type { Pool } from '../../api/kinds/pool.ts';
import { resources } from '../../api/kinds/resources.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import { asTransshipError, fail, TransshipError } from '../../base/errors.ts';
import { formatAge, formatBytes, formatSize } from '../../base/units.ts';
import { Room, wantedPools } from '../../controllers/pool/moves.ts';
import { membersOf } from '../../controllers/volume/members.ts';
import type { KubeClient } from '../../kube/api.ts';
import { keyOf, type KubeObject, type ResourceType } from '../../kube/objects.ts';
import type { Cli } from '../context.ts';
import type { ProgressView } from '../progress.ts';
import type { Column } from '../table.ts';
import { isFinal, sayer } from './volumes.ts';
import { conditionOf, currentCondition, failWith, until } from './waiting.ts';

const { pools, volumes } = resources;

type Replica = NonNullable<NonNullable<Volume['status']>['replicas']>[number];

export async function everyOne<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const one of client.list(type)) all.push(one);
  return all;
}

export const everyPool = (client: KubeClient): Promise<readonly Pool[]> => everyOne(client, pools);

/** Fails with what is wrong about these pools, before anything is changed. */
export function checkPools(wanted: readonly string[], known: readonly Pool[]): void {
  const members = membersOf(wanted, {
    find: (name) => known.find(({ metadata }) => metadata.name === name),
    list: () => known,
  });
  if (members instanceof TransshipError) throw members;
}

/** The emptiest pool of a node that has none of it yet; `RedundancyLost` when there is none. */
export function choosePool(volume: Volume, known: readonly Pool[], all: readonly Volume[]): string {
  const room = new Room(known, all);
  const bytes = Math.max(0, ...(volume.status?.replicas ?? []).map(sizeOf));
  const agents = room.agentsOf(wantedPools(volume));
  const [best] = room.open(bytes, agents);
  if (best !== undefined) return best.name;
  const others = room.names.filter((name) => !wantedPools(volume).includes(name));
  return fail(
    'RedundancyLost',
    `no pool takes another replica: ${room.why(bytes, agents, others)}`,
  );
}

function sizeOf({ allocatedBytes, usedBytes }: Replica): number {
  return allocatedBytes ?? usedBytes ?? 0;
}

/** A volume in use has a new status all the time. */
const triesMax = 20;

/** `Conflict` when its spec is not as it was read any more. */
export async function editReplicas(
  client: KubeClient,
  volume: Volume,
  wanted: readonly string[],
): Promise<Volume> {
  const { uid, generation } = volume.metadata;
  const spec = { replicas: wanted.map((pool) => ({ pool })) };
  let { resourceVersion } = volume.metadata;
  for (let tries = 1; ; tries++) {
    const metadata = { uid, resourceVersion };
    try {
      return await client.patch(volumes, keyOf(volume), { metadata, spec });
    } catch (error) {
      const now = await client.get(volumes, keyOf(volume));
      const isSame = now?.metadata.uid === uid && now?.metadata.generation === generation;
      const isConflict = asTransshipError(error).reason === 'Conflict';
      if (!isConflict || !isSame || tries === triesMax) throw error;
      ({ resourceVersion } = now!.metadata);
    }
  }
}

/** What was asked for and refused is taken back: a command that fails changes nothing. */
export async function takeBack(
  client: KubeClient,
  changed: Volume,
  before: readonly string[],
): Promise<void> {
  let wanted = wantedPools(changed);
  let volume = await client.get(volumes, keyOf(changed));
  // Several come at once, but only one goes with an edit.
  while (volume !== undefined && wanted.join() !== before.join()) {
    const isSame = volume.metadata.uid === changed.metadata.uid;
    if (!isSame || wantedPools(volume).join() !== wanted.join()) return;
    const extra = wanted.filter((pool) => !before.includes(pool));
    const isMore = wanted.length > before.length;
    wanted = isMore ? wanted.filter((pool) => pool !== extra.at(-1)) : before;
    volume = await editReplicas(client, volume, wanted);
  }
}

export interface Scaling {
  readonly timeoutMs?: number;
  readonly progress: boolean;
  /** Called before it fails because it was refused. */
  readonly onRefusal?: () => Promise<void>;
}

/** It is done by itself when all data is here. */
const passes = 'DataMissing';

/** Once exactly the wanted replicas are there and Healthy; fails with why they never will be. */
export async function whenScaled(
  cli: Cli,
  client: KubeClient,
  changed: Volume,
  { timeoutMs, progress, onRefusal }: Scaling,
): Promise<Volume> {
  const { name = '', uid, generation = 0 } = changed.metadata;
  const painter = cli.painter();
  const say = sayer(cli);
  let refused = false;
  const waiting = until(cli, client, {
    type: volumes,
    key: keyOf(changed),
    goesOn: `it goes on; see: transship replica list ${name} --cluster ${client.cluster}`,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    onObject: (volume) => {
      if (progress && isRebuilding(volume)) painter.show(rebuildView(volume));
      const words = isRebuilding(volume) ? undefined : waitingFor(volume);
      if (words !== undefined) say(words);
    },
    test: (volume) => {
      if (volume === undefined || volume.metadata.uid !== uid) {
        return fail('NotFound', `volume ${name} was deleted meanwhile`);
      }
      if ((volume.metadata.generation ?? 0) < generation) return undefined;
      const synced = currentCondition(volume, 'Synced');
      if (isFinal(synced)) {
        if (synced.reason === passes) {
          say(synced.message);
          return undefined;
        }
        refused = true;
        failWith(synced.reason, synced.message);
      }
      return isScaled(volume) ? volume : undefined;
    },
  });
  try {
    return await waiting;
  } catch (error) {
    if (refused) await onRefusal?.();
    throw error;
  } finally {
    painter.end();
  }
}

function isRebuilding({ status }: Volume): boolean {
  return (status?.replicas ?? []).some(isMoving);
}

function isMoving({ state }: Replica): boolean {
  return state === 'Rebuilding' || state === 'ReconstructingNewReplica';
}

/** What keeps replicas from being made, as the leader says it. */
function waitingFor(volume: Volume): string | undefined {
  const message = conditionOf(volume, 'ScalingReplicas')?.message;
  return message
    ?.split('; ')
    .find((part) => part.startsWith('it waits: '))
    ?.slice(10);
}

/** As asked for, by what was told of this very wish. */
function isScaled(volume: Volume): boolean {
  const wanted = wantedPools(volume);
  const there = volume.status?.replicas ?? [];
  if (there.length !== wanted.length) return false;
  if (!there.every(({ pool, state }) => wanted.includes(pool) && state === 'Healthy')) return false;
  if (currentCondition(volume, 'Synced')?.status !== 'True') return false;
  // A volume that never had several has no such condition.
  const scaling = currentCondition(volume, 'ScalingReplicas');
  return volume.status?.replicaSet === undefined || scaling?.reason === 'Scaled';
}

function rebuildView(volume: Volume): ProgressView {
  const moving = (volume.status?.replicas ?? []).filter(isMoving);
  const sum = (number: (one: Replica) => number | undefined) =>
    moving.reduce((total, one) => total + (number(one) ?? 0), 0);
  const totalBytes = sum((one) => one.totalBytes);
  const missingBytes = sum((one) => one.missingBytes);
  const etas = moving.flatMap(({ etaSeconds }) => etaSeconds ?? []);
  const percent = Math.min(99, ...moving.map(({ progress = 0 }) => progress));
  return {
    title: volume.metadata.name ?? '',
    phase: moving[0]?.state ?? '',
    percent: `${percent}%`,
    doneBytes: Math.max(0, totalBytes - missingBytes),
    totalBytes,
    bytesPerSecond: sum((one) => one.bytesPerSecond),
    etaMs: etas.length === 0 ? undefined : Math.max(...etas) * 1000,
    lanes: moving.map(({ pool, usedBytes = 0 }) => ({ label: `pool ${pool}`, bytes: usedBytes })),
    trouble: moving.find(({ message }) => message !== undefined)?.message,
  };
}

/** Rows of `replica list`: as `kubectl get volumereplicas` has them, and who leads. */
export function replicaColumns(leader: string | undefined): readonly Column<Replica>[] {
  return [
    { header: 'POOL', value: ({ pool }) => pool },
    { header: 'HOSTNAME', value: ({ node, agent }) => node ?? agent },
    { header: 'USED', value: ({ usedBytes = 0 }) => formatSize(usedBytes) },
    {
      header: 'ALLOCATED',
      value: ({ allocatedBytes, usedBytes = 0 }) => {
        return formatSize(allocatedBytes ?? usedBytes);
      },
    },
    { header: 'STATUS', value: ({ state }) => state },
    { header: 'PROGRESS', value: ({ progress = 0 }) => `${progress}%` },
    {
      header: 'LEFT',
      value: ({ etaSeconds }) => {
        return etaSeconds === undefined ? undefined : formatAge(etaSeconds * 1000);
      },
    },
    {
      header: 'LEADER',
      value: ({ agent }) => (agent !== undefined && agent === leader ? 'yes' : ''),
    },
    { header: 'MISSING', wide: true, value: ({ missingBytes = 0 }) => formatBytes(missingBytes) },
    { header: 'WHY', wide: true, value: ({ message }) => message },
  ];
}
