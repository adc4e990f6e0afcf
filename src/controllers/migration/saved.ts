/** A migration as it was last read or written; what is written goes over that and nothing newer. */
import { type Migration, type MigrationStatus, migrations } from '../../api/kinds/migration.ts';
import { fail, TransshipError } from '../../base/errors.ts';
import { formatMoment } from '../../base/units.ts';
import { keyOf, keyText } from '../../kube/objects.ts';
import { mergePatchOf, withConditions } from '../../kube/status.ts';
import type { Context } from '../context.ts';
import type { Report } from '../status.ts';
import { tellSteps } from './telling.ts';

/** People change specs while we write; more in a row than this are left to the next attempt. */
const conflictsMax = 5;
const warningsMax = 100;
const warningLength = 1000;

type Change = { readonly [K in keyof MigrationStatus]?: MigrationStatus[K] | undefined };

export class Saved {
  object: Migration;
  readonly #c: Context;
  readonly #warnings: Set<string>;

  constructor(context: Context, object: Migration) {
    this.#c = context;
    this.object = object;
    this.#warnings = new Set(object.status?.warnings ?? []);
  }

  now(): string {
    return formatMoment(this.#c.ports.clock.wallMs());
  }

  /** Durable with the next write. */
  warn(sentence: string): void {
    if (this.#warnings.size < warningsMax) this.#warnings.add(sentence.slice(0, warningLength));
  }

  /** Fields that are named, and no others. `Conflict` when another process has gone on. */
  async write(change: Change): Promise<void> {
    const before = this.object.status?.itinerary ?? [];
    await this.#write({ ...this.object.status, ...change });
    tellSteps(this.#c.ports, this.object, before, this.object.status?.itinerary ?? []);
  }

  async report({ conditions, fields }: Report, more: Change = {}): Promise<void> {
    const known = this.object.status?.conditions ?? [];
    const { generation = 0 } = this.object.metadata;
    const drafts = conditions.map((one) => ({ ...one, observedGeneration: generation }));
    const kept = known.filter(({ type }) => drafts.some((one) => one.type === type));
    const now = withConditions(kept, drafts, this.#c.ports.clock.wallMs());
    const all = { ...this.object.status, ...gone, ...(fields as MigrationStatus), ...more };
    await this.#write({ ...all, observedGeneration: generation, conditions: now } as Change);
  }

  /** One condition, and nothing else. */
  async say(one: Report['conditions'][number]): Promise<void> {
    const { generation = 0 } = this.object.metadata;
    const drafts = [{ ...one, observedGeneration: generation }];
    const known = this.object.status?.conditions ?? [];
    const conditions = withConditions(known, drafts, this.#c.ports.clock.wallMs());
    await this.#write({ ...this.object.status, conditions } as Change);
  }

  async #write(wanted: Change): Promise<void> {
    const warnings = [...this.#warnings];
    const all = { ...wanted, ...(warnings.length === 0 ? {} : { warnings }) };
    const { uid = '' } = this.object.metadata;
    for (let conflicts = 0; ; conflicts++) {
      const status = mergePatchOf(this.object.status, all);
      if (status === undefined) return;
      const { resourceVersion } = this.object.metadata;
      const metadata = { uid, resourceVersion };
      const key = keyOf(this.object);
      try {
        this.object = await this.#c.client.patchStatus(migrations, key, { metadata, status });
        return;
      } catch (error) {
        const isConflict = error instanceof TransshipError && error.reason === 'Conflict';
        if (!isConflict || conflicts >= conflictsMax) throw error;
        this.object = await this.#again();
      }
    }
  }

  /** Somebody else wrote: fine as long as the run is where it was. */
  async #again(): Promise<Migration> {
    const now = await this.#c.client.get(migrations, keyOf(this.object));
    const { uid } = this.object.metadata;
    const isSame = now?.metadata.uid === uid && stateOf(now) === stateOf(this.object);
    if (now !== undefined && isSame) return now;
    return fail('Conflict', `migration ${keyText(keyOf(this.object))} was driven on elsewhere`);
  }
}

function stateOf(object: Migration | undefined): string {
  return JSON.stringify(object?.status?.itinerary ?? []);
}

/** Fields that every report gives anew. */
const gone = {
  step: undefined,
  totalBytes: undefined,
  copiedBytes: undefined,
  bytesPerSecond: undefined,
  lagSeconds: undefined,
  downtimeMilliseconds: undefined,
} as const;
