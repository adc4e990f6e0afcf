/** Leases: promises to other clusters that a root stays readable (design.md 2, 4.4). */
import { fail } from '../base/errors.ts';
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
}

export class Leases {
  readonly #clock: Clock;
  readonly #save: () => void;
  readonly #byId = new Map<string, LeaseDocument>();

  constructor(clock: Clock, save: () => void) {
    this.#clock = clock;
    this.#save = save;
  }

  load(documents: readonly LeaseDocument[]): void {
    for (const lease of documents) this.#byId.set(lease.leaseId, lease);
  }

  /** Unexpired leases. An expired one is forgotten here, and saved as such with the next change. */
  list(): LeaseDocument[] {
    const nowMs = this.#clock.wallMs();
    for (const lease of this.#byId.values()) {
      if (lease.expiresMs <= nowMs) this.#byId.delete(lease.leaseId);
    }
    return [...this.#byId.values()];
  }

  of(volumeId: string): LeaseDocument[] {
    return this.list().filter((lease) => lease.volumeId === volumeId);
  }

  grant(lease: LeaseDocument): void {
    this.#byId.set(lease.leaseId, lease);
    this.#save();
  }

  renew(leaseId: string, lifeMs: number): number {
    const lease = this.list().find((one) => one.leaseId === leaseId);
    if (lease === undefined) fail('NotFound', `lease ${leaseId} has ended or never was`);
    const expiresMs = this.#clock.wallMs() + lifeMs;
    this.#byId.set(leaseId, { ...lease, expiresMs });
    this.#save();
    return expiresMs;
  }

  release(leaseId: string): void {
    if (this.#byId.delete(leaseId)) this.#save();
  }
}

/** Versions handed out a moment ago, kept from the collector until their takers hold them. */
export class Pins {
  readonly #clock: Clock;
  #pins: { readonly version: Version; readonly untilMs: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(version: Version, lifeMs: number): void {
    this.#pins.push({ version, untilMs: this.#clock.monotonicMs() + lifeMs });
  }

  roots(): { readonly name: Name; readonly sizeBytes: number; readonly blockBytes: number }[] {
    const nowMs = this.#clock.monotonicMs();
    this.#pins = this.#pins.filter((pin) => pin.untilMs > nowMs);
    return this.#pins.map(({ version }) => ({ ...version, name: version.root }));
  }
}
