/**
 * VolumeAttachments: Kubernetes makes one when a pod with a volume of ours was put on a node, and
 * starts the pod when it says `attached`. That is when the agent of that node leads the volume,
 * with or without a replica of its own; who leads is decided by the Volume's controller and, in
 * the end, by the replicas. Nothing is to be undone when one goes: the lead stays until it is
 * wanted elsewhere.
 */
import { formatSecond } from '../../base/units.ts';
import { volumes } from '../../api/kinds/volume.ts';
import type { Outcome } from '../../kube/api.ts';
import { keyOf } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import { type VolumeAttachment, volumeAttachments } from '../../kube/resources.ts';
import { handleOf, isOurVolume } from '../claim/made.ts';
import type { Context, Controller } from '../context.ts';
import { annotations, driver } from '../labels.ts';
import { decideAttachments, type Verdict } from './decide.ts';

/** What agents say of leads is looked at again, beside what they tell. */
const againMs = 5_000;

/** Keys are names of volumes: all attachments of one are judged together. */
export class VolumeAttachmentController implements Controller {
  readonly name = 'VolumeAttachment';
  readonly concurrency = 8;
  readonly sources: readonly Source[];
  readonly #c: Context;

  constructor(context: Context) {
    this.#c = context;
    const { informers, agents } = context;
    this.sources = [
      watching(informers.volumeAttachments, ({ before, now }) => {
        return [before, now].flatMap((one) => this.#volumeOf(one) ?? []);
      }),
      watching(informers.persistentVolumes, ({ now }) => (isOurVolume(now) ? [handleOf(now)] : [])),
      watching(informers.volumes),
      agents.source(({ kind, name }, mirror) => {
        if (kind === 'Volume' || kind === 'ReplicaSet') return [name];
        return kind === 'Agent' ? this.#attachedTo(mirror.place.name) : [];
      }),
    ];
  }

  async reconcile(name: string): Promise<Outcome> {
    const { informers, agents, client, statuses } = this.#c;
    const asked = [...informers.persistentVolumes.byIndex('handle', name)]
      .flatMap(({ metadata }) => [
        ...informers.volumeAttachments.byIndex('persistentVolume', metadata.name ?? ''),
      ])
      .filter(({ spec, metadata }) => {
        return spec.attacher === driver && metadata.deletionTimestamp === undefined;
      });
    if (asked.length === 0) return {};
    const cached = informers.volumes.get({ namespace: '', name });
    const volume = cached === undefined ? undefined : statuses.newest(cached);
    const { verdicts, wish } = decideAttachments({ name, volume, asked, agents });
    if (wish !== undefined) {
      const metadata = { uid: volume?.metadata.uid, annotations: { [annotations.lead]: wish } };
      await client.patch(volumes, { namespace: '', name }, { metadata });
    }
    for (const verdict of verdicts) await this.#tell(verdict);
    const isDone = verdicts.every(({ isAttached }) => isAttached) && wish === undefined;
    return isDone ? {} : { againAfterMs: againMs };
  }

  async #tell({ attachment, isAttached, problem }: Verdict): Promise<void> {
    const { attached, attachError } = attachment.status ?? {};
    const message = isAttached ? undefined : problem;
    if (attached === isAttached && attachError?.message === message) return;
    const time = formatSecond(this.#c.ports.clock.wallMs());
    const status = {
      attached: isAttached,
      attachError: message === undefined ? null : { message, time },
    };
    const { uid } = attachment.metadata;
    const patch = { metadata: { uid }, status };
    await this.#c.client.patchStatus(volumeAttachments, keyOf(attachment), patch);
  }

  #volumeOf(attachment: VolumeAttachment | undefined): string | undefined {
    const { attacher, source } = attachment?.spec ?? {};
    if (attacher !== driver) return undefined;
    const name = source?.persistentVolumeName ?? '';
    const bound = this.#c.informers.persistentVolumes.get({ namespace: '', name });
    return isOurVolume(bound) ? handleOf(bound) : undefined;
  }

  #attachedTo(node: string): readonly string[] {
    const all = [...this.#c.informers.volumeAttachments.list()];
    return all
      .filter(({ spec }) => spec.nodeName === node)
      .flatMap((one) => this.#volumeOf(one) ?? []);
  }
}
