/** What must be true when faults are over: everything is done, refused with a reason, or gone. */
import type { Teleport } from '../../src/api/kinds/teleport.ts';
import type { Volume } from '../../src/api/kinds/volume.ts';
import { isReason } from '../../src/base/reasons.ts';
import { parseSize } from '../../src/base/units.ts';
import {
  annotations,
  isSourceFinalizer,
  labels,
  sourceFinalizer,
} from '../../src/controllers/labels.ts';
import { leaseName } from '../../src/controllers/manager.ts';
import { systemNamespace } from '../../src/controllers/installation.ts';
import type { Condition, KubeObject } from '../../src/kube/objects.ts';
import type {
  Lease,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from '../../src/kube/resources.ts';
import { readAll } from './control-io.ts';
import { isOfTeleport } from './control-intents.ts';
import { policiesLeft } from './control-policies.ts';
import type { ControlWorld, SimCluster } from './control-world.ts';
import { Mismatch } from './model.ts';

type WithConditions = KubeObject & {
  readonly status?: { readonly conditions?: readonly Condition[] };
};

function conditionOf(object: WithConditions, type: string): Condition | undefined {
  return object.status?.conditions?.find((one) => one.type === type);
}

function told(object: WithConditions, type: string): string {
  const { status, reason, message } = conditionOf(object, type) ?? {};
  return `${type}=${status ?? '-'} ${reason ?? ''} ${message ?? ''}`;
}

function isGoing({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

const teleportsOf = (world: ControlWorld) => {
  return world.clusters.flatMap(({ api }) => api.list<Teleport>('Teleport'));
};

/** What is not good yet. Empty when nothing more has to happen. */
export function unsettled(world: ControlWorld): string[] {
  const left = world.unfinished().map((label) => `${label} runs`);
  for (const cluster of world.clusters) {
    const { api, controllers } = cluster;
    const lease = api.find<Lease>('Lease', leaseName, systemNamespace);
    const holder = lease?.spec?.holderIdentity;
    if (!controllers.some(({ running }) => running?.life.name === holder)) {
      left.push(`${cluster.name} is led by ${holder ?? 'nobody'}`);
    }
    left.push(...teleportsLeft(world, cluster), ...volumesLeft(world, cluster));
    left.push(...boundLeft(world, cluster), ...claimsLeft(cluster));
    left.push(...policiesLeft(cluster), ...agentLeft(world, cluster), ...poolsLeft(cluster));
  }
  return left;
}

function teleportsLeft(world: ControlWorld, { name: at, api }: SimCluster): string[] {
  return api.list<Teleport>('Teleport').flatMap((teleport) => {
    const what = `teleport ${at}/${teleport.metadata.name}`;
    if (isHeldUp(world, teleport)) return [];
    if (isGoing(teleport)) return [`${what} is being deleted: ${told(teleport, 'CleanedUp')}`];
    const succeeded = conditionOf(teleport, 'Succeeded');
    if (succeeded?.status === 'True') {
      const isThin = succeeded.reason === 'Accessible' && teleport.spec.thin === true;
      const isHeld = teleport.metadata.finalizers?.includes('transship.dev/teleport') === true;
      if (isThin === isHeld) return [];
      return [`${what} has ended, but ${isHeld ? 'keeps' : 'has lost'} its finalizer`];
    }
    if (succeeded?.status !== 'False') return [`${what}: ${told(teleport, 'Succeeded')}`];
    if (!isReason(succeeded.reason)) throw new Mismatch(`${what} ended as ${succeeded.reason}`);
    if ((teleport.metadata.finalizers ?? []).length > 0) {
      return [`${what} has ended, but keeps its finalizer: ${told(teleport, 'CleanedUp')}`];
    }
    return [];
  });
}

/**
 * Ended or deleted, but what it made is still read by others (a thin teleport may do so for ever):
 * until they let go, its volume and so its source have to stay, and it says so.
 */
function isHeldUp(world: ControlWorld, teleport: Teleport): boolean {
  const target = world.find(teleport.spec.destination.cluster);
  if (target === undefined || conditionOf(teleport, 'CleanedUp')?.status !== 'False') return false;
  const made = target.api.list<Volume>('Volume').filter((one) => isOfTeleport(one, teleport));
  return made.some((one) => isGoing(one) && holdersOf(world, target, one).length > 0);
}

function volumesLeft(world: ControlWorld, cluster: SimCluster): string[] {
  const { name: at, api } = cluster;
  return api.list<Volume>('Volume').flatMap((volume) => {
    const what = `volume ${at}/${volume.metadata.name}`;
    const left = finalizersLeft(world, volume).map((one) => `${what} keeps ${one}`);
    if (isGoing(volume)) {
      const isHeld = holdersOf(world, cluster, volume).length > 0;
      return isHeld ? left : [...left, `${what} is being deleted: ${told(volume, 'Deleting')}`];
    }
    const ready = conditionOf(volume, 'Ready');
    if (ready?.status === 'True') return [...left, ...notAsAsked(world, cluster, volume, what)];
    const why = ready === undefined ? 'nothing' : blockerOf(cluster, volume, ready);
    return why === undefined ? left : [...left, `${what}: ${told(volume, 'Ready')} (${why})`];
  });
}

/** Finalizers of teleports that need the volume no more. */
function finalizersLeft(world: ControlWorld, volume: Volume): string[] {
  const wanted = teleportsOf(world)
    .filter((teleport) => {
      const succeeded = conditionOf(teleport, 'Succeeded');
      const isOn = succeeded?.status !== 'False' && succeeded?.reason !== 'Available';
      return isOn || isHeldUp(world, teleport);
    })
    .map(({ metadata }) => sourceFinalizer(metadata.uid ?? ''));
  const held = volume.metadata.finalizers ?? [];
  return held.filter((one) => isSourceFinalizer(one) && !wanted.includes(one));
}

/** Who still reads from the volume: teleports that have not ended, and volumes that arrive. */
function holdersOf(world: ControlWorld, { name: at }: SimCluster, volume: Volume): string[] {
  const { name = '', finalizers = [] } = volume.metadata;
  const arriving = world.stores.flatMap(({ agent }) => {
    const all = agent?.running?.pool.volumes() ?? [];
    return all.filter((one) => {
      const { origin } = one.status();
      return origin?.cluster === at && origin.volume === name;
    });
  });
  return [...finalizers.filter(isSourceFinalizer), ...arriving.map((one) => one.name)];
}

function notAsAsked(world: ControlWorld, at: SimCluster, volume: Volume, what: string): string[] {
  const device = at.agent?.running?.pool.volumes().find(({ name }) => {
    return name === volume.metadata.name;
  });
  if (device === undefined) return [`${what} is Ready, but not there`];
  const { origin } = device.status();
  const complete = conditionOf(volume, 'Complete')?.status === 'True';
  if (complete !== (origin === undefined)) return [`${what}: ${told(volume, 'Complete')}`];
  const isThin = volume.spec.source?.teleport?.thin === true;
  if (origin !== undefined && !isThin && !isOfThin(world, at, origin)) {
    return [`${what} is not complete: ${told(volume, 'SourceConnected')}`];
  }
  const synced = conditionOf(volume, 'Synced');
  if (synced?.status !== 'True') {
    return isReason(synced?.reason ?? '') && synced?.reason === 'NotFound'
      ? []
      : [`${what}: ${told(volume, 'Synced')}`];
  }
  if (volume.status?.sizeBytes !== device.sizeBytes) return [`${what} tells another size`];
  return [];
}

/** Clones of thin volumes are thin, too. */
function isOfThin(
  _world: ControlWorld,
  at: SimCluster,
  origin: { readonly thin: boolean },
): boolean {
  return origin.thin && at.agent !== undefined;
}

/** Undefined when what the condition says keeps it from being ready, and is true. */
function blockerOf(
  { agent, api }: SimCluster,
  volume: Volume,
  ready: Condition,
): string | undefined {
  const { name = '' } = volume.metadata;
  const isThere = agent?.running?.pool.volumes().some((one) => one.name === name) === true;
  const { source } = volume.spec;
  const from = source?.clone?.volume ?? source?.snapshot?.volume;
  switch (ready.reason) {
    case 'NotFound': {
      const hasSource = from !== undefined && api.find('Volume', from) !== undefined;
      const wasThere = volume.status?.sizeBytes !== undefined;
      if (wasThere && !isThere) return undefined;
      const isPolicy = /policy/.test(ready.message);
      return hasSource && !isPolicy && !isThere ? 'but its source is there' : undefined;
    }
    case 'AlreadyExists':
      return isThere ? undefined : 'but there is no other';
    case 'AgentUnreachable':
      return agent === undefined ? undefined : 'but the agent is there';
    case 'SourceGone':
    case 'NotTrusted':
    case 'BadSize':
    case 'BadArgument':
      return undefined;
    default:
      return 'which can pass';
  }
}

function boundLeft(world: ControlWorld, cluster: SimCluster): string[] {
  const { name: at, api } = cluster;
  return api.list<PersistentVolume>('PersistentVolume').flatMap((bound) => {
    const handle = bound.spec?.csi?.volumeHandle;
    if (handle === undefined) return [];
    const what = `PersistentVolume ${at}/${bound.metadata.name}`;
    const volume = api.find<Volume>('Volume', handle);
    const isWaiting =
      volume !== undefined && isGoing(volume) && holdersOf(world, cluster, volume).length > 0;
    const phase = bound.status?.phase;
    const isLetGo = isGoing(bound) || phase === 'Released' || phase === 'Failed';
    const policy = bound.spec?.persistentVolumeReclaimPolicy;
    if (isGoing(bound) && isClaimed(cluster, bound)) return [];
    if (isLetGo && policy === 'Delete') return isWaiting ? [] : [`${what} is ${phase}, and there`];
    if (isGoing(bound)) return [`${what} is being deleted`];
    return [];
  });
}

/** Protection keeps a volume until nobody claims it. */
function isClaimed({ api }: SimCluster, bound: PersistentVolume): boolean {
  const { uid } = bound.spec?.claimRef ?? {};
  return api.list('PersistentVolumeClaim').some(({ metadata }) => metadata.uid === uid);
}

function claimsLeft({ name: at, api }: SimCluster): string[] {
  return api.list<PersistentVolumeClaim>('PersistentVolumeClaim').flatMap((claim) => {
    const { namespace, name } = claim.metadata;
    const what = `claim ${at}/${namespace}/${name}`;
    if (isGoing(claim)) return [`${what} is being deleted`];
    const phase = claim.status?.phase;
    if (phase === 'Bound') return claimIsBound(api, claim, what);
    if (phase === 'Lost') return [];
    return claimMayWait({ name: at, api } as SimCluster, claim) ? [] : [`${what} is ${phase}`];
  });
}

function claimIsBound(
  api: SimCluster['api'],
  claim: PersistentVolumeClaim,
  what: string,
): string[] {
  const bound = api.find<PersistentVolume>('PersistentVolume', claim.spec?.volumeName ?? '');
  if (bound === undefined) return [`${what} is bound to nothing`];
  const handle = bound.spec?.csi?.volumeHandle;
  if (handle === undefined) return [];
  const volume = api.find<Volume>('Volume', handle);
  return volume?.metadata.labels?.[labels.claim] === undefined
    ? []
    : [`${what}: its volume was not handed over`];
}

/** A claim may stay pending when its class or its source is not there, or its volume cannot be. */
function claimMayWait({ api }: SimCluster, claim: PersistentVolumeClaim): boolean {
  const { storageClassName = '', dataSource, volumeName } = claim.spec ?? {};
  if (api.find<StorageClass>('StorageClass', storageClassName) === undefined) return true;
  const { namespace, uid, annotations: notes } = claim.metadata;
  const from = notes?.[annotations.sourceClaim] ?? dataSource?.name;
  const made = api.find<Volume>('Volume', `pvc-${uid}`);
  // Told at the volume, and judged there.
  if (made !== undefined && conditionOf(made, 'Ready')?.status !== 'True') return true;
  if (volumeName !== undefined && volumeName !== '') {
    const bound = api.find<PersistentVolume>('PersistentVolume', volumeName);
    return bound === undefined || bound.spec?.claimRef?.uid !== uid || isGoing(bound);
  }
  if (from === undefined) return false;
  const source = api.find<PersistentVolumeClaim>('PersistentVolumeClaim', from, namespace);
  const bound = api.find<PersistentVolume>('PersistentVolume', source?.spec?.volumeName ?? '');
  if (source?.status?.phase !== 'Bound' || bound === undefined) return true;
  // A clone that would be smaller than its source cannot be.
  const volume = api.find<Volume>('Volume', bound.spec?.csi?.volumeHandle ?? '');
  const wantedBytes = parseSize(claim.spec?.resources?.requests?.storage ?? '0');
  return volume === undefined || wantedBytes < (volume.status?.sizeBytes ?? 0);
}

/** Volumes of the agent and Volume objects are one to one; leases are somebody's. */
function agentLeft(world: ControlWorld, { name: at, api, agent }: SimCluster): string[] {
  const running = agent?.running;
  if (agent === undefined) return [];
  if (running === undefined) return [`agent ${at} is down`];
  const left: string[] = [];
  const there = running.pool.volumes();
  for (const { name } of there) {
    const object = api.find<Volume>('Volume', name);
    if (object === undefined) left.push(`agent ${at} has ${name}, of which there is no object`);
  }
  const needed = new Set(
    world.stores.flatMap((one) => {
      const all = one.agent?.running?.pool.volumes() ?? [];
      return all.map((volume) => volume.status().origin?.leaseId);
    }),
  );
  for (const { leaseId, volume, holder } of running.pool.leases()) {
    if (!needed.has(leaseId)) left.push(`lease of ${at}/${volume} for ${holder}`);
  }
  for (const { name, unread } of agent.ledger.volumes.values()) {
    if (unread !== undefined) left.push(`${at}/${name} cannot be read`);
  }
  return left;
}

function poolsLeft({ name: at, api, agent }: SimCluster): string[] {
  const all = api.list<WithConditions>('Pool');
  const expected = agent === undefined ? 0 : 1;
  if (all.length !== expected) return [`${at} has ${all.length} pools`];
  return all
    .filter((pool) => conditionOf(pool, 'Ready')?.status !== 'True')
    .map((pool) => `pool ${at}/${pool.metadata.name}: ${told(pool, 'Ready')}`);
}

/** Every cache is what its server has. */
export function cachesLeft(world: ControlWorld): string[] {
  return world.clusters.flatMap(({ observer }) => observer.differences());
}

/** All content is what was written. */
export async function checkEnd(world: ControlWorld): Promise<void> {
  for (const cluster of world.stores) {
    for (const kept of cluster.agent!.ledger.volumes.values()) await readAll(cluster, kept);
  }
}
