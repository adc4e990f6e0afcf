/**
 * Claims of storage classes whose provisioner is Transship: a Volume, then a PersistentVolume that
 * names the claim; binding the two is Kubernetes' matter. Names come from the claim's uid, so a
 * second attempt finds what the first one made. A Volume whose claim went before it had a
 * PersistentVolume is deleted again: its label says that nobody else answers for it yet.
 */
import { type Volume, volumes } from '../../api/kinds/volume.ts';
import { asTransshipError, TransshipError, unlessThere } from '../../base/errors.ts';
import { exactSize, parseVolumeSize } from '../../base/units.ts';
import type { Outcome } from '../../kube/api.ts';
import { keyOf, keyText, parseKey } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  type StorageClass,
} from '../../kube/resources.ts';
import { capacityStatus } from './capacity.ts';
import type { Context, Controller } from '../context.ts';
import { annotations, driver, labels } from '../labels.ts';
import { choosePools, Room } from '../pool/moves.ts';
import { isTrue } from '../status.ts';
import { attributesClassOf, attributesOf, modifyBound } from './attributes.ts';
import { handleOf, isOurVolume, persistentVolumeOf, quantityBytes, volumeModeOf } from './made.ts';
import { specOf } from './request.ts';

/** What cannot be met now may be soon: a source gets bound, a class corrected. */
const refusedAgainMs = 15_000;
/** They pass by themselves when somebody does something: a source is bound, a node comes back. */
const told: readonly string[] = ['NotAccessible', 'LimitExceeded'];

export class ClaimController implements Controller {
  readonly name = 'PersistentVolumeClaim';
  readonly concurrency = 8;
  readonly sources: readonly Source[];
  readonly #c: Context;

  constructor(context: Context) {
    this.#c = context;
    const { informers } = context;
    this.sources = [
      watching(informers.claims),
      watching(informers.classes, () => []),
      watching(informers.volumes, ({ before, now }) => {
        const { [annotations.madeFor]: claim } = (now ?? before)?.metadata.annotations ?? {};
        return claim === undefined ? [] : [claim];
      }),
      watching(informers.persistentVolumes, ({ before, now }) => {
        const { namespace, name } = (now ?? before)?.spec?.claimRef ?? {};
        return name === undefined ? [] : [keyText({ namespace: namespace ?? '', name })];
      }),
      // What grew while it was in use is shown when it is not used any more.
      watching(informers.volumeAttachments, ({ before, now }) => {
        const { persistentVolumeName: name = '' } = (now ?? before)?.spec.source ?? {};
        const { claimRef } = informers.persistentVolumes.get({ namespace: '', name })?.spec ?? {};
        if (claimRef?.name === undefined) return [];
        return [keyText({ namespace: claimRef.namespace ?? '', name: claimRef.name })];
      }),
    ];
  }

  async reconcile(key: string): Promise<Outcome> {
    const { informers } = this.#c;
    const claim = informers.claims.get(parseKey(key));
    await this.#sweep(key, claim);
    if (claim === undefined || claim.metadata.deletionTimestamp !== undefined) return {};
    const { storageClassName = '', volumeName } = claim.spec ?? {};
    const storageClass = informers.classes.get({ namespace: '', name: storageClassName });
    if (volumeName !== undefined && volumeName !== '') return this.#grow(claim, volumeName);
    if (storageClass?.provisioner !== driver) return {};
    const isWaiting =
      storageClass.volumeBindingMode === 'WaitForFirstConsumer' &&
      claim.metadata.annotations?.[annotations.selectedNode] === undefined;
    return isWaiting ? {} : this.#provision(claim, storageClass);
  }

  async #provision(claim: PersistentVolumeClaim, storageClass: StorageClass): Promise<Outcome> {
    const name = `pvc-${claim.metadata.uid ?? ''}`;
    const { informers } = this.#c;
    let volume = informers.volumes.get({ namespace: '', name });
    const bound = informers.persistentVolumes.get({ namespace: '', name });
    // Somebody deleted either: when both are gone this begins anew, and not in between.
    if (volume === undefined ? bound !== undefined : isGoing(volume)) return {};
    try {
      volume ??= await this.#makeVolume(name, claim, storageClass);
    } catch (error) {
      const { reason, message: note, retryable } = asTransshipError(error);
      if (retryable && !told.includes(reason)) throw error;
      this.#tell(claim, 'Warning', 'ProvisioningFailed', `${reason}: ${note}`);
      return { againAfterMs: refusedAgainMs };
    }
    if (!isTrue(volume, 'Ready')) {
      const ready = volume.status?.conditions?.find(({ type }) => type === 'Ready');
      if (ready !== undefined && ready.reason !== 'Initializing') {
        this.#tell(claim, 'Warning', 'ProvisioningFailed', `${ready.reason}: ${ready.message}`);
      }
      return {};
    }
    // A clone begins with the size of its source; a volume that is too small is never bound.
    if ((volume.status?.sizeBytes ?? 0) < wantedBytesOf(claim)) return {};
    await this.#makePersistentVolume(claim, volume, storageClass);
    return {};
  }

  async #makeVolume(
    name: string,
    claim: PersistentVolumeClaim,
    storageClass: StorageClass,
  ): Promise<Volume> {
    const { client, informers, ports } = this.#c;
    const node = claim.metadata.annotations?.[annotations.selectedNode];
    const attributes = attributesClassOf(claim);
    const changed = attributes === '' ? {} : (await attributesOf(this.#c, attributes)).parameters;
    const parameters = { ...storageClass.parameters, ...changed };
    const spec = specOf(
      claim,
      { ...storageClass, parameters },
      {
        nowMs: ports.clock.wallMs(),
        findClaim: (namespace, one) => informers.claims.get({ namespace, name: one }),
        findPersistentVolume: (one) =>
          informers.persistentVolumes.get({ namespace: '', name: one }),
        choosePools: (count) => {
          const room = new Room(informers.pools.list(), informers.volumes.list());
          const chosen = choosePools(count, room, node);
          if (chosen instanceof TransshipError) throw chosen;
          return chosen;
        },
      },
    );
    const metadata = {
      name,
      labels: { [labels.claim]: claim.metadata.uid ?? '' },
      annotations: {
        [annotations.madeFor]: keyText(keyOf(claim)),
        ...(node === undefined ? {} : { [annotations.selectedNode]: node }),
      },
    };
    try {
      return await client.create<Volume>(volumes, { metadata, spec });
    } catch (error) {
      const found = await client.get(volumes, { namespace: '', name });
      if (found === undefined) throw error;
      return found;
    }
  }

  async #makePersistentVolume(
    claim: PersistentVolumeClaim,
    volume: Volume,
    storageClass: StorageClass,
  ): Promise<void> {
    const { client, informers } = this.#c;
    const { name = '' } = volume.metadata;
    const { namespace = '', uid = '' } = claim.metadata;
    if (informers.persistentVolumes.get({ namespace: '', name }) === undefined) {
      // Asked now: the end of both may be seen of one of them first.
      const newest = await client.get(volumes, keyOf(volume));
      if (newest?.metadata.uid !== volume.metadata.uid || isGoing(newest)) return;
      const made = persistentVolumeOf({
        name,
        sizeBytes: volume.status?.sizeBytes ?? 0,
        claim: { namespace, name: claim.metadata.name ?? '', uid },
        accessModes: claim.spec?.accessModes ?? ['ReadWriteOnce'],
        volumeMode: volumeModeOf(claim),
        storageClassName: storageClass.metadata.name ?? '',
        storageClass,
        attributesClass: attributesClassOf(claim),
      });
      const created = await unlessThere(client.create<PersistentVolume>(persistentVolumes, made));
      if (created !== undefined) {
        const note = `volume ${name} is there and its PersistentVolume names this claim`;
        this.#tell(claim, 'Normal', 'ProvisioningSucceeded', note);
      }
    }
    await this.#handOver(volume);
  }

  /** From now on the PersistentVolume answers for the volume. */
  async #handOver(volume: Volume): Promise<void> {
    if (volume.metadata.labels?.[labels.claim] === undefined) return;
    await this.#c.client.patch(volumes, keyOf(volume), {
      metadata: { uid: volume.metadata.uid, labels: { [labels.claim]: null } },
    });
  }

  /** Volumes that were made for an earlier claim of this name, and never got further. */
  async #sweep(key: string, claim: PersistentVolumeClaim | undefined): Promise<void> {
    const { client, informers } = this.#c;
    for (const volume of informers.volumes.byIndex('madeFor', key)) {
      const uid = volume.metadata.labels?.[labels.claim];
      if (uid === undefined || uid === claim?.metadata.uid || isGoing(volume)) continue;
      // Asked now: the caches may have been filled at different moments.
      const { name = '' } = volume.metadata;
      const found = await client.get(persistentVolumeClaims, parseKey(key));
      if (found?.metadata.uid === uid) continue;
      if ((await client.get(persistentVolumes, { namespace: '', name })) !== undefined) continue;
      const { uid: own } = volume.metadata;
      await client.delete(volumes, keyOf(volume), own === undefined ? {} : { uid: own });
    }
  }

  /** A claim that asks for more gets it: the Volume first, then what Kubernetes shows of it. */
  async #grow(claim: PersistentVolumeClaim, volumeName: string): Promise<Outcome> {
    const { client, informers } = this.#c;
    const bound = informers.persistentVolumes.get({ namespace: '', name: volumeName });
    if (!isOurVolume(bound) || bound.spec?.claimRef?.uid !== claim.metadata.uid) return {};
    const volume = informers.volumes.get({ namespace: '', name: handleOf(bound) });
    if (volume === undefined) return {};
    await this.#handOver(volume);
    const capacityBytes = quantityBytes(bound.spec?.capacity?.storage) ?? 0;
    const wantedBytes = wantedBytesOf(claim);
    if (wantedBytes > capacityBytes) {
      const asked = quantityBytes(volume.spec.size) ?? volume.status?.sizeBytes ?? 0;
      if (asked < wantedBytes) {
        const spec = { size: exactSize(wantedBytes) };
        await client.patch(volumes, keyOf(volume), { spec });
        this.#tell(claim, 'Normal', 'Resizing', `volume ${handleOf(bound)} grows`);
      }
      if ((volume.status?.sizeBytes ?? 0) < wantedBytes) return {};
      const storage = exactSize(volume.status!.sizeBytes!);
      await client.patch(persistentVolumes, keyOf(bound), { spec: { capacity: { storage } } });
      await this.#showCapacity(claim, bound, storage);
    } else if (claim.status?.phase === 'Bound') {
      await this.#showCapacity(claim, bound, bound.spec?.capacity?.storage ?? '');
    }
    return modifyBound(this.#c, { claim, bound, volume });
  }

  async #showCapacity(
    claim: PersistentVolumeClaim,
    bound: PersistentVolume,
    storage: string,
  ): Promise<void> {
    const { client, informers, ports } = this.#c;
    const attachments = informers.volumeAttachments.byIndex(
      'persistentVolume',
      bound.metadata.name ?? '',
    );
    const isInUse = [...attachments].some(({ spec, metadata }) => {
      return spec.attacher === driver && metadata.deletionTimestamp === undefined;
    });
    const now = { isInUse, nowMs: ports.clock.wallMs() };
    const status = capacityStatus(claim, storage, now);
    if (status === undefined) return;
    await client.patchStatus(persistentVolumeClaims, keyOf(claim), { status });
  }

  #tell(
    regarding: PersistentVolumeClaim,
    type: 'Normal' | 'Warning',
    reason: string,
    note: string,
  ): void {
    this.#c.ports.events.record({ regarding, type, reason, action: 'Provisioning', note });
  }
}

function isGoing(volume: Volume | undefined): boolean {
  return volume?.metadata.deletionTimestamp !== undefined;
}

function wantedBytesOf(claim: PersistentVolumeClaim): number {
  try {
    return parseVolumeSize(claim.spec?.resources?.requests?.storage ?? '');
  } catch {
    return 0;
  }
}
