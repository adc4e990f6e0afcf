/** Volumes as block devices and mounts of this host. */
import { apiVersion, type AttachmentObject } from '../api/objects.ts';
import { fail } from '../base/errors.ts';
import type { Events } from './events.ts';
import type { Attached, Attacher } from './ports.ts';

export interface AttachRequest {
  readonly volume: string;
  readonly uri: string;
  readonly mount: string | undefined;
  readonly format: string | undefined;
  readonly readOnly: boolean;
  /** The device waits while the agent is away, instead of failing. */
  readonly keep: boolean;
  /** Of the volume, as it is now. */
  readonly sizeBytes: number;
}

export class Attachments {
  readonly #attacher: Attacher;
  readonly #events: Events;
  readonly #cluster: string;
  readonly #attached = new Map<string, Attached>();
  /** Volumes being attached or detached: a second request for one must not interleave. */
  readonly #busy = new Set<string>();

  constructor(attacher: Attacher, events: Events, cluster: string) {
    this.#attacher = attacher;
    this.#events = events;
    this.#cluster = cluster;
  }

  /** What outlived the last agent is found again, so that `detach` works after a crash. */
  async load(): Promise<void> {
    for (const found of await this.#attacher.list()) this.#attached.set(found.volume, found);
  }

  /** Where a volume is, for tables. */
  placeOf(volume: string): string | undefined {
    const found = this.#attached.get(volume);
    return found === undefined ? undefined : (found.mount ?? found.device);
  }

  names(): readonly string[] {
    return [...this.#attached.keys()];
  }

  async attach(request: AttachRequest): Promise<AttachmentObject> {
    const { volume } = request;
    const before = this.#attached.get(volume);
    if (before !== undefined) {
      if (request.mount !== undefined && request.mount !== before.mount) {
        fail('InUse', `volume ${volume} is attached to ${this.placeOf(volume)} already`);
      }
      // The same request again has what it wants; what keeps devices may have died since.
      if (!request.keep) return this.#view(volume, before);
    }
    return this.#alone(volume, async () => {
      const same = before && { mount: before.mount, readOnly: before.readOnly, format: undefined };
      const attached = await this.#attacher.attach({ ...request, ...same });
      this.#attached.set(volume, attached);
      if (before?.device !== attached.device) {
        this.#tell(volume, 'Attached', `volume ${volume} is at ${this.placeOf(volume)}`);
      }
      return this.#view(volume, attached);
    });
  }

  /** Also cleans up when nothing is known: a crash may have left a mount. */
  async detach(volume: string): Promise<AttachmentObject> {
    return this.#alone(volume, async () => {
      const before = this.#attached.get(volume);
      await this.#attacher.detach(volume);
      this.#attached.delete(volume);
      if (before !== undefined) this.#tell(volume, 'Detached', `volume ${volume} is detached`);
      const gone = { device: undefined, mount: undefined, filesystem: undefined };
      return this.#view(volume, before ?? { ...gone, how: 'none', readOnly: false });
    });
  }

  async #alone<T>(volume: string, run: () => Promise<T>): Promise<T> {
    if (this.#busy.has(volume)) fail('InUse', `volume ${volume} is being attached or detached`);
    this.#busy.add(volume);
    try {
      return await run();
    } finally {
      this.#busy.delete(volume);
    }
  }

  #tell(volume: string, reason: string, note: string): void {
    this.#events.add({ type: 'Information', reason, kind: 'Volume', name: volume, note });
  }

  #view(volume: string, attached: Attached): AttachmentObject {
    const { device, mount, filesystem, how, readOnly } = attached;
    return {
      kind: 'Attachment',
      apiVersion,
      metadata: { name: volume, cluster: this.#cluster },
      spec: { volume, readOnly, ...(mount === undefined ? {} : { mount }) },
      status: {
        how,
        ...(device === undefined ? {} : { device }),
        ...(filesystem === undefined ? {} : { filesystem }),
      },
    };
  }
}
