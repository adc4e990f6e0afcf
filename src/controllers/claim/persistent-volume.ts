/**
 * PersistentVolumes of ours that nobody claims any more: with reclaim policy Delete the Volume
 * goes, then the PersistentVolume. While something still reads the Volume both stay, say why, and
 * go by themselves when that ends (I-15 to I-17).
 */
import { volumes } from '../../api/kinds/volume.ts';
import type { Outcome } from '../../kube/api.ts';
import { removeFinalizer } from '../../kube/finalizers.ts';
import { keyOf } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import {
  type PersistentVolume,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../kube/resources.ts';
import type { Context, Controller } from '../context.ts';
import { annotations, driver, finalizers, labels } from '../labels.ts';
import { conditionOf } from '../status.ts';
import { handleOf, isOurVolume } from './made.ts';

export class PersistentVolumeController implements Controller {
  readonly name = 'PersistentVolume';
  readonly concurrency = 8;
  readonly sources: readonly Source[];
  readonly #c: Context;

  constructor(context: Context) {
    this.#c = context;
    const { informers } = context;
    this.sources = [
      watching(informers.persistentVolumes),
      // A PersistentVolume has the name of its Volume.
      watching(informers.volumes),
    ];
  }

  async reconcile(name: string): Promise<Outcome> {
    const cached = this.#c.informers.persistentVolumes.get({ namespace: '', name });
    if (!isOurVolume(cached) || !isMadeByUs(cached) || !isLetGo(cached)) return {};
    // What it decides ends data: the cache may be behind somebody who wants to keep it.
    const bound = await this.#c.client.get(persistentVolumes, { namespace: '', name });
    if (!isOurVolume(bound) || !isLetGo(bound) || (await this.#isClaimed(bound))) return {};
    if (bound.spec?.persistentVolumeReclaimPolicy === 'Delete') return this.#delete(bound);
    if (bound.metadata.deletionTimestamp === undefined) return {};
    await this.#keepVolume(bound);
    await removeFinalizer(this.#c.client, persistentVolumes, bound, finalizers.persistentVolume);
    return {};
  }

  async #isClaimed(bound: PersistentVolume): Promise<boolean> {
    const { namespace = '', name = '', uid } = bound.spec?.claimRef ?? {};
    if (name === '') return false;
    const claim = await this.#c.client.get(persistentVolumeClaims, { namespace, name });
    if (claim === undefined) return false;
    // Reserved by name only: somebody else's claim of that name counts once it took this volume.
    if (uid === undefined) return claim.spec?.volumeName === bound.metadata.name;
    if (claim.metadata.uid !== uid) return false;
    // Deleted before it was bound: nothing that is being deleted is bound, and the claim waits.
    const isTaken = claim.spec?.volumeName === bound.metadata.name;
    const isBound = bound.status?.phase === 'Bound';
    return isTaken || isBound || bound.metadata.deletionTimestamp === undefined;
  }

  async #delete(bound: PersistentVolume): Promise<Outcome> {
    const { client } = this.#c;
    const volume = await client.get(volumes, { namespace: '', name: handleOf(bound) });
    if (volume !== undefined) {
      const { uid, deletionTimestamp } = volume.metadata;
      if (deletionTimestamp === undefined) {
        await client.delete(volumes, keyOf(volume), uid === undefined ? {} : { uid });
      }
      const deleting = conditionOf(volume, 'Deleting');
      if (deleting?.status === 'False') await this.#tellWhy(bound, deleting);
      return {};
    }
    const { uid, deletionTimestamp } = bound.metadata;
    if (deletionTimestamp === undefined) {
      await client.delete(persistentVolumes, keyOf(bound), uid === undefined ? {} : { uid });
    }
    await removeFinalizer(client, persistentVolumes, bound, finalizers.persistentVolume);
    return {};
  }

  async #tellWhy(
    bound: PersistentVolume,
    why: { readonly reason: string; readonly message: string },
  ): Promise<void> {
    const { reason, message } = why;
    if (bound.status?.reason === reason && bound.status.message === message) return;
    const what = { type: 'Warning', reason: 'VolumeFailedDelete', action: 'Deleting' } as const;
    this.#c.ports.events.record({ regarding: bound, ...what, note: `${reason}: ${message}` });
    await this.#c.client.patchStatus(persistentVolumes, keyOf(bound), {
      status: { reason, message },
    });
  }

  /** Its owner wants to keep it: nothing that was unfinished may sweep it away. */
  async #keepVolume(bound: PersistentVolume): Promise<void> {
    const { client } = this.#c;
    const volume = await client.get(volumes, { namespace: '', name: handleOf(bound) });
    if (volume?.metadata.labels?.[labels.claim] === undefined) return;
    await client.patch(volumes, keyOf(volume), { metadata: { labels: { [labels.claim]: null } } });
  }
}

function isMadeByUs(bound: PersistentVolume): boolean {
  return bound.metadata.annotations?.[annotations.provisionedBy] === driver;
}

/** Released by Kubernetes, or deleted by somebody. */
function isLetGo(bound: PersistentVolume): boolean {
  const { phase } = bound.status ?? {};
  const isDeleted = bound.metadata.deletionTimestamp !== undefined;
  return phase === 'Released' || phase === 'Failed' || isDeleted;
}
