/**
 * Status as a controller wants it, written when it says something new: conditions and phases at
 * once, numbers that keep changing only every few seconds.
 */
import { fail } from '../base/errors.ts';
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

  /**
   * The object with what was written last, which a cache may not show yet. Reports that keep what
   * the status said before have to be made of this one: else what was written since is lost.
   */
  newest<T extends Reported>(cached: T): T {
    const answered = this.#written.get(cached.metadata.uid ?? '')?.object;
    return isNewer(answered, cached) ? (answered as T) : cached;
  }

  /**
   * Writes some fields at once, because what follows relies on them. `Conflict` when the object is
   * not as it was any more.
   */
  async set<T extends Reported>(type: ResourceType<T>, object: T, status: object): Promise<T> {
    const { uid = '', resourceVersion } = object.metadata;
    const metadata = { uid, resourceVersion };
    const answer = await this.#client.patchStatus(type, keyOf(object), { metadata, status });
    const last = this.#written.get(uid) ?? { atMs: Number.NEGATIVE_INFINITY, status: '' };
    this.#remember(uid, { ...last, object: answer });
    return answer;
  }

  /**
   * Milliseconds after which to report again what was held back; undefined: all is written.
   * `Conflict` when the object is not as it was any more, also when that was written here.
   */
  async write<T extends Reported>(
    type: ResourceType<T>,
    object: T,
    report: Report,
  ): Promise<number | undefined> {
    const { uid = '' } = object.metadata;
    const last = this.#written.get(uid);
    if (isNewer(last?.object, object)) fail('Conflict', 'the report is of an older status');
    const wanted = this.#statusOf(object, report);
    const patch = mergePatchOf(object.status, wanted);
    if (patch === undefined) return undefined;
    const text = JSON.stringify([report, wanted.observedGeneration]);
    const nowMs = this.#clock.monotonicMs();
    const sinceMs = last === undefined ? Number.POSITIVE_INFINITY : nowMs - last.atMs;
    if (sinceMs < repeatMs && last?.status === text) return repeatMs - sinceMs;
    const { slowMs = slowMsDefault } = report;
    if (sinceMs < slowMs && factsOf(object.status) === factsOf(wanted)) return slowMs - sinceMs;
    // Times of conditions follow from what was there, so it must still be there: else `Conflict`.
    const { resourceVersion } = object.metadata;
    const metadata = { uid, resourceVersion };
    const answer = await this.#client.patchStatus(type, keyOf(object), { metadata, status: patch });
    this.#remember(uid, { atMs: nowMs, status: text, object: answer });
    return undefined;
  }

  #statusOf({ metadata, status }: Reported, report: Report) {
    const { conditions: drafts, fields } = report;
    const observedGeneration = metadata.generation ?? 0;
    const before = status?.conditions ?? [];
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

function isNewer(answered: Reported | undefined, cached: Reported): boolean {
  const { resourceVersion } = cached.metadata;
  return (compareVersions(answered?.metadata.resourceVersion, resourceVersion) ?? 0) > 0;
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
  // The end of a teleport comes with what it counted last.
  const { phase } = (known['teleport'] ?? {}) as { readonly phase?: unknown };
  const replicas = (known['replicas'] ?? []) as readonly Readonly<Record<string, unknown>>[];
  const states = replicas.map(({ pool, state, voter }) => [pool, state, voter]);
  return JSON.stringify([short, phase, states, ...factNames.map((name) => known[name])]);
}
