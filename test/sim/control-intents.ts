/**
 * What users asked to be deleted, and what may therefore be deleted by controllers. A volume that
 * somebody still has an object for must never go.
 */
import type { Teleport } from '../../src/api/kinds/teleport.ts';
import type { Volume } from '../../src/api/kinds/volume.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../src/kube/resources.ts';
import { labels } from '../../src/controllers/labels.ts';
import type { Committed } from './control-api.ts';
import type { SimCluster } from './control-world.ts';
import { Mismatch } from './model.ts';

/** Deletions that were seen at one API server, whoever asked for them. */
export class Intents {
  /** Uids that were deleted by users themselves. */
  readonly byUsers = new Set<string>();
  /** Uids that are gone. */
  readonly gone = new Set<string>();

  see({ before, now }: Committed): void {
    const uid = before?.metadata.uid;
    if (uid !== undefined && now?.metadata.uid !== uid) this.gone.add(uid);
  }

  user(object: KubeObject): void {
    this.byUsers.add(object.metadata.uid ?? '');
  }
}

/** Throws when an agent is told to delete what an object still stands for. */
export function mayDelete(cluster: SimCluster, name: string, _force: boolean): void {
  const { api } = cluster;
  const volume = api.find<Volume>('Volume', name);
  if (volume !== undefined && volume.metadata.deletionTimestamp === undefined) {
    const wasUsable = volume.status?.sizeBytes !== undefined;
    if (wasUsable) throw new Mismatch(`volume ${name} is deleted, but its object is not`);
  }
  for (const bound of api.list<PersistentVolume>('PersistentVolume')) {
    if (bound.spec?.csi?.volumeHandle !== name) continue;
    checkBound(cluster, name, bound, volume);
  }
}

function checkBound(
  { api, intents }: SimCluster,
  name: string,
  bound: PersistentVolume,
  volume: Volume | undefined,
): void {
  const { claimRef } = bound.spec ?? {};
  const claim = api
    .list<PersistentVolumeClaim>('PersistentVolumeClaim')
    .find(({ metadata }) => metadata.uid === claimRef?.uid && claimRef?.uid !== undefined);
  if (claim === undefined || claim.metadata.deletionTimestamp !== undefined) return;
  const wanted = [bound.metadata.uid, volume?.metadata.uid].some((uid) => {
    return uid !== undefined && intents.byUsers.has(uid);
  });
  const { namespace, name: claimName } = claim.metadata;
  if (!wanted) {
    throw new Mismatch(`volume ${name} is deleted under the claim ${namespace}/${claimName}`);
  }
}

export function isOfTeleport(object: KubeObject, teleport: Teleport): boolean {
  return object.metadata.labels?.[labels.teleport] === teleport.metadata.uid;
}
