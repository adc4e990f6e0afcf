/** Leases: promises to other clusters that a root stays readable (design.md 2, 4.4). */
import { fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Clock } from '../base/ports.ts';
import type { Name, Version } from './types.ts';

export interface LeaseDocument {
  readonly leaseId: string;
  readonly volumeId: string;
  readonly volume: string;
  readonly holder: string;
  readonly root: string;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly allocatedBlocks: number;
  readonly expiresMs: number;
  /** Granted while its volume still arrived: parts of it may never have come, nor will. */
  readonly partial?: boolean;
}

/** After a start every lease holds at least so long: who reads could not renew it meanwhile. */
const graceMs = 3600 * 1000;
/** Released ones that are remembered: many times what one peer can ask for at once. */
const releasedMax = 4096;

interface Running {
  readonly lease: LeaseDocument;
  /** On the monotonic clock: a wall clock that jumps must not end what somebody relies on. */
  readonly endsMs: number;
}

export class Leases {
  readonly #clock: Clock;
  readonly #save: () => void;
  readonly #byId = new Map<string, Running>();
  /** The oldest first. */
  readonly #released = new Set<string>();
  /** The disk refused: what was given back would be there again after a start. */
  #isUnsaved = false;

  constructor(clock: Clock, save: () => void) {
    this.#clock = clock;
    this.#save = save;
  }

  load(documents: readonly LeaseDocument[]): void {
    const wallMs = this.#clock.wallMs();
    for (const lease of documents) {
      const leftMs = Math.min(limits.leaseMs, Math.max(graceMs, lease.expiresMs - wallMs));
      this.#byId.set(lease.leaseId, { lease, endsMs: this.#clock.monotonicMs() + leftMs });
    }
  }

  /** Unexpired leases. An expired one is forgotten here, and saved as such with the next change. */
  list(): LeaseDocument[] {
    const nowMs = this.#clock.monotonicMs();
    for (const [leaseId, { endsMs }] of this.#byId) {
      if (endsMs <= nowMs) this.#byId.delete(leaseId);
    }
    return [...this.#byId.values()].map(({ lease }) => lease);
  }

  of(volumeId: string): LeaseDocument[] {
    return this.list().filter((lease) => lease.volumeId === volumeId);
  }

  /** Throws `Canceled` for what its taker gave back already, heard before the request was done. */
  grant(lease: LeaseDocument): void {
    if (this.#released.has(lease.leaseId)) {
      fail('Canceled', `${lease.holder} gave lease ${lease.leaseId} back before it was granted`);
    }
    const lifeMs = lease.expiresMs - this.#clock.wallMs();
    this.#byId.set(lease.leaseId, { lease, endsMs: this.#clock.monotonicMs() + lifeMs });
    this.#keep();
  }

  renew(leaseId: string, lifeMs: number): number {
    const lease = this.list().find((one) => one.leaseId === leaseId);
    if (lease === undefined) fail('NotFound', `lease ${leaseId} has ended or never was`);
    const expiresMs = this.#clock.wallMs() + lifeMs;
    this.grant({ ...lease, expiresMs });
    return expiresMs;
  }

  /**
   * Also of what was never granted: the request may still be at work here, or on a link that is
   * slower than the one that gave the lease back, and its taker will not come again.
   */
  release(leaseId: string): void {
    for (const oldest of this.#released) {
      if (this.#released.size < releasedMax) break;
      this.#released.delete(oldest);
    }
    this.#released.add(leaseId);
    if (this.#byId.delete(leaseId) || this.#isUnsaved) this.#keep();
  }

  #keep(): void {
    this.#isUnsaved = true;
    this.#save();
    this.#isUnsaved = false;
  }
}

interface Pin {
  readonly version: Version;
  readonly partial: boolean;
  readonly untilMs: number;
}

/** Versions handed out a moment ago, kept from the collector until their takers hold them. */
export class Pins {
  readonly #clock: Clock;
  #pins: Pin[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `partial`: its volume still arrives. */
  add(version: Version, lifeMs: number, partial: boolean): void {
    this.#pins.push({ version, partial, untilMs: this.#clock.monotonicMs() + lifeMs });
  }

  roots(): (Omit<Version, 'root'> & { readonly name: Name; readonly partial: boolean })[] {
    const nowMs = this.#clock.monotonicMs();
    this.#pins = this.#pins.filter((pin) => pin.untilMs > nowMs);
    return this.#pins.map(({ version, partial }) => ({ ...version, name: version.root, partial }));
  }
}
