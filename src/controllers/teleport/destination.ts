/** What a teleport makes at its destination: a Volume, a PersistentVolume, a claim. */
import type { Teleport } from '../../api/kinds/teleport.ts';
import { type Volume, volumes } from '../../api/kinds/volume.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { exactSize } from '../../base/units.ts';
import type { Draft } from '../../kube/api.ts';
import { keyOf, keyText, type KubeObject, type ResourceType } from '../../kube/objects.ts';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../kube/resources.ts';
import { persistentVolumeOf } from '../claim/made.ts';
import { annotations, labels } from '../labels.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import { type ClaimTemplate, sidesOf, templateAnnotation, volumeNameOf } from './plan.ts';
import type { Plan } from './preflight.ts';

type TeleportSource = NonNullable<NonNullable<Volume['spec']['source']>['teleport']>;

/** What is there now, by the watch; the Volume is asked for when the watch has none. */
export interface Arrived {
  readonly volume: Volume | undefined;
  readonly bound: PersistentVolume | undefined;
  readonly claim: PersistentVolumeClaim | undefined;
}

export function arrivedAt(teleport: Teleport, access: ClusterAccess): Arrived {
  const name = volumeNameOf(teleport);
  const { namespace, claim } = sidesOf(teleport).destination;
  const own = <T extends KubeObject>(object: T | undefined) => {
    return isOf(teleport, object) ? object : undefined;
  };
  return {
    volume: own(access.volumes.get({ namespace: '', name })),
    bound: own(access.persistentVolumes.get({ namespace: '', name })),
    claim: claim === undefined ? undefined : own(access.claims.get({ namespace, name: claim })),
  };
}

/** The same, asked now: before anything is concluded from absence. */
export async function arrivedNow(teleport: Teleport, { client }: ClusterAccess): Promise<Arrived> {
  const name = volumeNameOf(teleport);
  const { namespace, claim } = sidesOf(teleport).destination;
  const own = <T extends KubeObject>(object: T | undefined) => {
    return isOf(teleport, object) ? object : undefined;
  };
  return {
    volume: own(await client.get(volumes, { namespace: '', name })),
    bound: own(await client.get(persistentVolumes, { namespace: '', name })),
    claim:
      claim === undefined
        ? undefined
        : own(await client.get(persistentVolumeClaims, { namespace, name: claim })),
  };
}

function isOf(teleport: Teleport, object: KubeObject | undefined): boolean {
  return object?.metadata.labels?.[labels.teleport] === teleport.metadata.uid;
}

function marked(teleport: Teleport) {
  return {
    labels: { [labels.teleport]: teleport.metadata.uid ?? '' },
    annotations: { [annotations.madeFor]: keyText(keyOf(teleport)) },
  };
}

export async function makeVolume(
  teleport: Teleport,
  access: ClusterAccess,
  plan: Plan,
): Promise<Volume> {
  const name = volumeNameOf(teleport);
  const mark = marked(teleport);
  const template = plan.template === undefined ? undefined : JSON.stringify(plan.template);
  const { historyPolicy } = plan;
  const made: Draft<Volume> = {
    metadata: {
      name,
      labels: mark.labels,
      annotations: {
        ...mark.annotations,
        ...(template === undefined ? {} : { [templateAnnotation]: template }),
      },
    },
    spec: {
      source: { teleport: teleportSourceOf(teleport, plan) },
      ...(historyPolicy === undefined ? {} : { historyPolicy }),
    },
  };
  return makeOwn(teleport, access, volumes, made);
}

function teleportSourceOf({ spec }: Teleport, plan: Plan): TeleportSource {
  const { source, at, snapshot, thin = false, bandwidth } = spec;
  const agent = plan.source?.metadata.annotations?.[annotations.agent] ?? source.cluster;
  return {
    cluster: source.cluster,
    ...(agent === source.cluster ? {} : { agent }),
    volume: plan.sourceVolume,
    thin,
    ...(at === undefined ? {} : { at }),
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
  };
}

/** What may be changed while it runs: the rate, and that a thin one fetches the rest after all. */
export async function passOnChanges(
  { spec }: Teleport,
  { client }: ClusterAccess,
  volume: Volume,
): Promise<void> {
  const told = volume.spec.source?.teleport;
  if (told === undefined) return;
  const isThinSame = (told.thin ?? false) === (spec.thin ?? false);
  if (isThinSame && told.bandwidth === spec.bandwidth) return;
  const teleport = { thin: spec.thin ?? false, bandwidth: spec.bandwidth ?? null };
  await client.patch(volumes, keyOf(volume), { spec: { source: { teleport } } });
}

/** First the PersistentVolume, which names the claim; then the claim, which names it. */
export async function makeClaim(
  teleport: Teleport,
  access: ClusterAccess,
  arrived: Arrived & { readonly volume: Volume },
): Promise<void> {
  const { volume } = arrived;
  const template = templateFrom(volume);
  const { namespace, claim: name = '' } = sidesOf(teleport).destination;
  const sizeBytes = volume.status?.sizeBytes ?? 0;
  const mark = marked(teleport);
  if (arrived.bound === undefined) {
    const storageClassName = template.storageClass;
    const made = persistentVolumeOf({
      name: volume.metadata.name ?? '',
      sizeBytes,
      claim: { namespace, name },
      accessModes: template.accessModes,
      volumeMode: template.volumeMode,
      storageClassName,
      storageClass: access.classes.get({ namespace: '', name: storageClassName }),
      labels: mark.labels,
    });
    await makeOwn(teleport, access, persistentVolumes, made);
  }
  if (arrived.claim !== undefined) return;
  await makeOwn<PersistentVolumeClaim>(teleport, access, persistentVolumeClaims, {
    metadata: { namespace, name, ...mark },
    spec: {
      accessModes: template.accessModes,
      volumeMode: template.volumeMode,
      storageClassName: template.storageClass,
      volumeName: volume.metadata.name ?? '',
      resources: { requests: { storage: exactSize(sizeBytes) } },
    },
  });
}

function templateFrom(volume: Volume): ClaimTemplate {
  const text = volume.metadata.annotations?.[templateAnnotation];
  try {
    return JSON.parse(text ?? '') as ClaimTemplate;
  } catch (error) {
    const { name = '' } = volume.metadata;
    return fail('Invalid', `volume ${name} has lost its annotation ${templateAnnotation}`, error);
  }
}

/** That there is one is success when it is ours, and `AlreadyExists` when it is not. */
async function makeOwn<T extends KubeObject>(
  teleport: Teleport,
  { client }: ClusterAccess,
  type: ResourceType<T>,
  object: Draft<T>,
): Promise<T> {
  try {
    return await client.create<T>(type, object);
  } catch (error) {
    if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
    const { namespace = '', name = '' } = object.metadata;
    const found = await client.get(type, { namespace, name });
    if (found !== undefined && isOf(teleport, found)) return found;
    throw error;
  }
}

/**
 * Ends all that this teleport made, one after the other, whatever the reclaim policy says: half a
 * volume is of no use. Says what is still there; undefined: nothing, or what goes by itself.
 */
export async function unmake(
  teleport: Teleport,
  access: ClusterAccess,
): Promise<string | undefined> {
  const { claim, bound, volume } = await arrivedNow(teleport, access);
  const { namespace, claim: name } = sidesOf(teleport).destination;
  if (claim !== undefined) {
    await remove(access, persistentVolumeClaims, claim);
    return `claim ${namespace}/${name ?? ''} is being deleted; a pod that uses it holds it up`;
  }
  if (bound !== undefined) {
    await remove(access, persistentVolumes, bound);
    const { message: why } = bound.status ?? {};
    const what = `PersistentVolume ${bound.metadata.name ?? ''} is being deleted`;
    return why === undefined ? what : `${what}: ${why}`;
  }
  await remove(access, volumes, volume);
  return undefined;
}

async function remove<T extends KubeObject>(
  { client }: ClusterAccess,
  type: ResourceType<T>,
  object: T | undefined,
): Promise<void> {
  if (object === undefined || object.metadata.deletionTimestamp !== undefined) return;
  const { uid } = object.metadata;
  await client.delete(type, keyOf(object), uid === undefined ? {} : { uid });
}
