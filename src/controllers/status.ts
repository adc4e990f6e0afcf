/**
 * Status as a controller wants it, written when it says something new: conditions and phases at
 * once, numbers that keep changing only every few seconds.
 */
import type { Clock } from '../base/ports.ts';
import { compareVersions } from '../kube/cache.ts';
import type { ConditionDraft, KubeClient } from '../kube/api.ts';
import { type Condition, type KubeObject, keyOf, type ResourceType } from '../kube/objects.ts';
import { mergePatchOf, withConditions } from '../kube/status.ts';

export interface Report {
  readonly conditions: readonly Omit<ConditionDraft, 'observedGeneration'>[];
  /** The rest of the status. Fields that are not given are removed. */
  readonly fields: object;
  /** Numbers that nobody waits for: written this seldom. `slowMsDefault` when absent. */
  readonly slowMs?: number;
}

export interface Reported extends KubeObject {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

/** Between two writes that only bring new numbers. */
const slowMsDefault = 3_000;
/** The cache shows a write only after a while; until then it is not repeated. */
const repeatMs = 2_000;
const rememberedMax = 4_096;
/** Of a condition: longer texts come from elsewhere, and may quote whole documents. */
const messageLengthMax = 2_000;

export function condition(
  type: string,
  status: boolean | 'Unknown',
  reason: string,
  message = '',
): Report['conditions'][number] {
  const text = status === 'Unknown' ? 'Unknown' : status ? 'True' : 'False';
  return { type, status: text, reason, message: message.slice(0, messageLengthMax) };
}

export function conditionOf(object: Reported | undefined, type: string): Condition | undefined {
  return object?.status?.conditions?.find((one) => one.type === type);
}

export function isTrue(object: Reported | undefined, type: string): boolean {
  return conditionOf(object, type)?.status === 'True';
}

interface Written {
  readonly atMs: number;
  readonly status: string;
  /** The object as the server then had it: the cache may show an older one for a while. */
  readonly object: Reported;
}

export class StatusWriter {
  readonly #clock: Clock;
  readonly #client: KubeClient;
  readonly #written = new Map<string, Written>();

  constructor(clock: Clock, client: KubeClient) {
    this.#clock = clock;
    this.#client = client;
  }

  /** Milliseconds after which to report again what was held back; undefined: all is written. */
  async write<T extends Reported>(
    type: ResourceType<T>,
    object: T,
    report: Report,
  ): Promise<number | undefined> {
    const { uid = '' } = object.metadata;
    const newest = newerOf(object, this.#written.get(uid)?.object);
    const wanted = this.#statusOf(object.metadata.generation ?? 0, newest, report);
    const patch = mergePatchOf(newest.status, wanted);
    if (patch === undefined) return undefined;
    const text = JSON.stringify([report, wanted.observedGeneration]);
    const nowMs = this.#clock.monotonicMs();
    const last = this.#written.get(uid);
    const sinceMs = last === undefined ? Number.POSITIVE_INFINITY : nowMs - last.atMs;
    if (sinceMs < repeatMs && last?.status === text) return repeatMs - sinceMs;
    const { slowMs = slowMsDefault } = report;
    if (sinceMs < slowMs && factsOf(newest.status) === factsOf(wanted)) return slowMs - sinceMs;
    // Times of conditions follow from what was there, so it must still be there: else `Conflict`.
    const { resourceVersion } = newest.metadata;
    const metadata = { uid, resourceVersion };
    const answer = await this.#client.patchStatus(type, keyOf(object), { metadata, status: patch });
    this.#remember(uid, { atMs: nowMs, status: text, object: answer });
    return undefined;
  }

  #statusOf(observedGeneration: number, newest: Reported, report: Report) {
    const { conditions: drafts, fields } = report;
    const before = newest.status?.conditions ?? [];
    const all = drafts.map((draft) => ({ ...draft, observedGeneration }));
    const kept = before.filter(({ type }) => drafts.some((draft) => draft.type === type));
    const conditions = withConditions(kept, all, this.#clock.wallMs());
    return { ...fields, observedGeneration, conditions };
  }

  #remember(uid: string, written: Written): void {
    this.#written.delete(uid);
    this.#written.set(uid, written);
    for (const oldest of this.#written.keys()) {
      if (this.#written.size <= rememberedMax) break;
      this.#written.delete(oldest);
    }
  }
}

function newerOf(cached: Reported, answered: Reported | undefined): Reported {
  const { resourceVersion } = cached.metadata;
  const order = compareVersions(answered?.metadata.resourceVersion, resourceVersion);
  return answered !== undefined && (order ?? 0) > 0 ? answered : cached;
}

const factNames = [
  'phase',
  'sizeBytes',
  'readOnly',
  'health',
  'leasedBy',
  'doors',
  'volume',
  'observedGeneration',
] as const;

/** What others wait for or look at first, as opposed to numbers that keep changing. */
function factsOf(status: object | undefined): string {
  const known = (status ?? {}) as Readonly<Record<string, unknown>>;
  const short = ((known['conditions'] ?? []) as readonly Condition[]).map((one) => {
    return [one.type, one.status, one.reason];
  });
  return JSON.stringify([short, ...factNames.map((name) => known[name])]);
}
