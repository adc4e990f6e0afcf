/** A replication as it was last read or written; writes go over that and over nothing newer. */
import {
  type Replication,
  type ReplicationStatus,
  replications,
} from '../../api/kinds/replication.ts';
import { fail, TransshipError } from '../../base/errors.ts';
import { formatMoment } from '../../base/units.ts';
import { keyOf, keyText } from '../../kube/objects.ts';
import { mergePatchOf, withConditions } from '../../kube/status.ts';
import type { Context } from '../context.ts';
import { condition, type Report } from '../status.ts';
import type { Counted, Told } from './as-plan.ts';
import { displayOf } from './display.ts';
import { tellSteps } from './telling.ts';

/** People change specs while we write; more in a row than this are left to the next attempt. */
const conflictsMax = 5;
const notesMax = 100;
const noteLength = 1000;

export type Change = { readonly [K in keyof ReplicationStatus]?: ReplicationStatus[K] | undefined };

type Draft = Report['conditions'][number];

export class Saved {
  object: Replication;
  readonly #c: Context;
  readonly #notes: Set<string>;
  readonly #counts = new Map<string, Counted>();
  #told: Change = {};

  constructor(context: Context, object: Replication) {
    this.#c = context;
    this.object = object;
    this.#notes = new Set(object.status?.notes ?? []);
    for (const one of object.status?.resources ?? []) this.#counts.set(one.resource, one);
  }

  now(): string {
    return formatMoment(this.#c.ports.clock.wallMs());
  }

  nowMs(): number {
    return this.#c.ports.clock.wallMs();
  }

  /** Durable with the next write; the same sentence is kept once. */
  note(sentence: string): void {
    if (this.#notes.size < notesMax) this.#notes.add(sentence.slice(0, noteLength));
  }

  /** Takes the place of what was counted of these resources before; durable when it resolves. */
  async count(counts: readonly Counted[]): Promise<void> {
    for (const one of counts) this.#counts.set(one.resource, one);
    await this.write({});
  }

  /** Durable with the next write. */
  set(change: Told): void {
    this.#told = { ...this.#told, ...change };
  }

  /** A new run says anew what it kept. */
  forget(): void {
    this.#notes.clear();
    this.#counts.clear();
  }

  /** Fields that are named, and conditions; no others. `Conflict` when it was driven elsewhere. */
  async write(change: Change, drafts: readonly Draft[] = []): Promise<void> {
    const before = this.object.status ?? {};
    const { generation = 0 } = this.object.metadata;
    const all = drafts.map((one) => ({ ...one, observedGeneration: generation }));
    const isContinuous = this.object.spec.continuous !== undefined;
    const kept = before.conditions?.filter(({ type }) => isContinuous || type !== 'InSync');
    const conditions = withConditions(kept, all, this.nowMs());
    const notes = [...this.#notes];
    const resources = [...this.#counts.values()].toSorted((a, b) =>
      a.resource < b.resource ? -1 : 1,
    );
    const wanted: Change = {
      ...before,
      ...this.#told,
      ...change,
      observedGeneration: generation,
      ...(conditions.length === 0 ? {} : { conditions }),
      notes: notes.length === 0 ? undefined : notes,
      resources: resources.length === 0 ? undefined : resources,
    };
    const shown = { ...wanted, display: displayOf(this.object.spec, wanted as ReplicationStatus) };
    await this.#write(shown as Change);
    tellSteps(this.#c.ports, this.object, before.itinerary, this.object.status?.itinerary);
  }

  /** The reason of `Succeeded` while it is not over, with what it is at. */
  async say(reason: string, message: string, change: Change = {}): Promise<void> {
    await this.write(change, [condition('Succeeded', 'Unknown', reason, message)]);
  }

  async #write(wanted: Change): Promise<void> {
    const { uid = '' } = this.object.metadata;
    for (let conflicts = 0; ; conflicts++) {
      const status = mergePatchOf(this.object.status, wanted);
      if (status === undefined) return;
      const { resourceVersion } = this.object.metadata;
      const key = keyOf(this.object);
      const patch = { metadata: { uid, resourceVersion }, status };
      try {
        this.object = await this.#c.client.patchStatus(replications, key, patch);
        return;
      } catch (error) {
        const isConflict = error instanceof TransshipError && error.reason === 'Conflict';
        if (!isConflict || conflicts >= conflictsMax) throw error;
        this.object = await this.#again();
      }
    }
  }

  /** Somebody else wrote: fine as long as the run is where it was. */
  async #again(): Promise<Replication> {
    const now = await this.#c.client.get(replications, keyOf(this.object));
    const { uid } = this.object.metadata;
    const isSame = now?.metadata.uid === uid && stateOf(now) === stateOf(this.object);
    if (now !== undefined && isSame) return now;
    return fail('Conflict', `replication ${keyText(keyOf(this.object))} was driven on elsewhere`);
  }
}

function stateOf(object: Replication | undefined): string {
  const { phase, runs, itinerary = [] } = object?.status ?? {};
  return JSON.stringify([phase, runs, itinerary]);
}
