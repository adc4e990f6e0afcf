/**
 * What controllers work with: a client of one cluster, informers (list-watch with a cache), a keyed
 * queue, and the reconciler that joins them. Everything here is level-based: an event says only
 * that something about a key may have changed.
 *
 * Errors are `TransshipError`s: `ApiUnreachable` (retryable), `Conflict` (409, somebody was
 * quicker), `AlreadyExists`, `NotFound`, `Forbidden` (the message names the missing rule),
 * `Unauthorized`, `Invalid` (422, the server's words), `TooManyRequests`, `ApiFailed` (5xx).
 */
import type { Clock, Log, Random } from '../base/ports.ts';
import type { Condition, KubeObject, ObjectKey, OwnerReference, ResourceType } from './objects.ts';
import type { KubeTransport } from './transport.ts';

export interface Selectors {
  readonly namespace?: string;
  /** As kubectl's `-l`. */
  readonly labels?: string;
  /** As kubectl's `--field-selector`. */
  readonly fields?: string;
}

export interface DeleteOptions {
  /** Deletes only this incarnation; another one is a `Conflict`. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
  readonly graceSeconds?: number;
}

export interface ApplyOptions {
  readonly force?: boolean;
  /** The server only says what it would do. */
  readonly dryRun?: boolean;
}

/** An object as a writer gives it: the server fills the rest in. */
export type Draft<T extends KubeObject> = Pick<T, 'metadata'> & Partial<T>;

/** One API server and what is needed to talk to it; informers and clients share one. */
export interface KubeConnection {
  /** The cluster's name in this cloud, for messages and metrics. */
  readonly cluster: string;
  readonly transport: KubeTransport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Requests sent so far, by verb. */
  readonly counts: Map<string, number>;
}

export interface KubeClient {
  /** The cluster's name in this cloud, for messages and metrics. */
  readonly cluster: string;
  /** For informers and others that need more than single requests. */
  readonly connection: KubeConnection;
  /** Undefined when there is none. */
  get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<T | undefined>;
  /** Page after page (500 each), so that no list is ever whole in memory here. */
  list<T extends KubeObject>(type: ResourceType<T>, selectors?: Selectors): AsyncIterable<T>;
  /** `AlreadyExists` when there is one. */
  create<T extends KubeObject>(type: ResourceType<T>, object: Draft<T>): Promise<T>;
  /** PUT: `Conflict` unless the resourceVersion, where given, is the newest. */
  replace<T extends KubeObject>(type: ResourceType<T>, object: T): Promise<T>;
  /** JSON merge patch (RFC 7386). A resourceVersion in it makes it conditional. */
  patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Readonly<Record<string, unknown>>,
  ): Promise<T>;
  /**
   * Server-side apply under this client's field manager: only give what is ours. With force unless
   * said otherwise; without it what others have changed is a `Conflict`.
   */
  apply<T extends KubeObject>(
    type: ResourceType<T>,
    object: Draft<T>,
    options?: ApplyOptions,
  ): Promise<T>;
  /** Merge patch of the status sub-resource. */
  patchStatus<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: { readonly metadata?: object; readonly status: object },
  ): Promise<T>;
  /** Resolves also when there is nothing (any more). With false when there was nothing. */
  delete(type: ResourceType, key: ObjectKey, options?: DeleteOptions): Promise<boolean>;
  /** Anything else the server knows: version, discovery, reviews, logs. Parsed JSON. */
  request(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown>;
  /** Requests sent so far, by verb: what bench/ reports per teleport. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Adds a finalizer unless it is there; resolves with the object as it then is. */
export type EnsureFinalizer = <T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  object: T,
  finalizer: string,
) => Promise<T>;

export interface InformerOptions<T extends KubeObject> {
  readonly selectors?: Selectors;
  /** Names of indexes, and the values an object has in each. */
  readonly indexes?: Readonly<Record<string, (object: T) => readonly string[]>>;
  /** Makes an object smaller before it is kept (drop managedFields, say). */
  readonly trim?: (object: T) => T;
}

/**
 * All objects of one type, kept current by list and watch: paging, bookmarks, resume at the last
 * version, a new list after 410, back-off with jitter, a watch that is silent for too long is taken
 * for dead. What disappeared while nobody watched is reported as deleted.
 */
export interface Informer<T extends KubeObject> {
  readonly type: ResourceType<T>;
  get(key: ObjectKey): T | undefined;
  list(): Iterable<T>;
  count(): number;
  byIndex(index: string, value: string): readonly T[];
  /** Resolves after the first complete list. */
  readonly synced: Promise<void>;
  readonly isSynced: boolean;
  /** Why it is behind now, if it is: for conditions and health. */
  readonly trouble: { readonly reason: string; readonly message: string } | undefined;
  /** Called after the cache changed. `now` undefined: deleted. Returns what ends it. */
  onChange(listener: (change: Change<T>) => void): () => void;
  /** Called when `trouble` comes or goes. */
  onTrouble(listener: () => void): () => void;
  stop(): Promise<void>;
}

export interface Change<T extends KubeObject> {
  readonly key: ObjectKey;
  readonly before: T | undefined;
  readonly now: T | undefined;
}

/** What a reconciliation wants next. An error means: again, later, with back-off. */
export interface Outcome {
  /** Come back after this long even if nothing changes. */
  readonly againAfterMs?: number;
}

/** Keyed, without doubles; no key is worked on twice at once; bounded by the keys there are. */
export interface WorkQueue {
  add(key: string): void;
  addAfter(key: string, ms: number): void;
  /** Keys waiting or at work. */
  readonly size: number;
  /** No more work is begun; resolves when what runs has ended. */
  stop(): Promise<void>;
}

/** One condition to set; the time is kept while the status stays the same. */
export type ConditionDraft = Omit<Condition, 'lastTransitionTime'>;

export interface EventDraft {
  readonly regarding: KubeObject;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly action: string;
  readonly note: string;
}

/** Kubernetes events (events.k8s.io/v1), repeated ones as a series. Never fails its caller. */
export interface EventRecorder {
  record(event: EventDraft): void;
  stop(): Promise<void>;
}

export function ownerReference(owner: KubeObject): OwnerReference {
  const { apiVersion, kind } = owner;
  const { name = '', uid = '' } = owner.metadata;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}
