/**
 * Keeps all objects of one type current: a list in pages, then watches that go on where the one
 * before stopped; a new list when the server no longer knows that place, or says what makes no
 * sense. Trouble is told and tried again for ever, never further apart than `backoff.maxMs`.
 */
import { AssertionFailure, asTransshipError, TransshipError } from '../base/errors.ts';
import type { Change, Informer, InformerOptions, KubeClient, KubeConnection } from './api.ts';
import { compareVersions, ObjectCache } from './cache.ts';
import { keyOf, keyText, type KubeObject, type ObjectKey, type ResourceType } from './objects.ts';
import { pageItems, readPageThatFits } from './pages.ts';
import { ApiError, isExpired } from './status-errors.ts';
import { sleep } from '../base/sleep.ts';
import { backoffMs } from './waiting.ts';
import { type WatchEvent, watchOnce } from './watch.ts';

const backoff = { minMs: 500, maxMs: 30_000 };
/** A watch that lived this long, or brought something, was healthy. */
const healthyMs = 10_000;
/** Error answers to a watch from one version, until a list is tried instead. */
const sameVersionFailuresMax = 3;
/** A list that grows old before its end is begun again in larger pages, up to this. */
const pageItemsMax = 16 * pageItems;

/** Begins at once. `client` names the cluster and lends its connection. */
export function createInformer<T extends KubeObject>(
  client: Pick<KubeClient, 'connection'>,
  type: ResourceType<T>,
  options: InformerOptions<T> = {},
): Informer<T> {
  return new ListWatchInformer(client.connection, type, options);
}

/** `managedFields` is often half of an object, and no controller reads it. */
function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _dropped, ...metadata } = object.metadata;
  return { ...object, metadata };
}

class ListWatchInformer<T extends KubeObject> implements Informer<T> {
  readonly type: ResourceType<T>;
  readonly synced: Promise<void>;
  readonly #connection: KubeConnection;
  readonly #options: InformerOptions<T>;
  readonly #cache: ObjectCache<T>;
  readonly #trim: (object: T) => T;
  readonly #listeners = new Set<(change: Change<T>) => void>();
  readonly #troubleListeners = new Set<() => void>();
  readonly #ending = new AbortController();
  readonly #ended: Promise<void>;
  readonly #synced = Promise.withResolvers<void>();
  #isSynced = false;
  #trouble: { readonly reason: string; readonly message: string } | undefined;
  /** Where the next watch goes on; undefined: list first. */
  #version: string | undefined;
  #sendsBookmarks = false;
  #failures = 0;
  #pageItems = pageItems;

  constructor(connection: KubeConnection, type: ResourceType<T>, options: InformerOptions<T>) {
    this.type = type;
    this.#connection = connection;
    this.#options = options;
    this.#trim = options.trim ?? withoutManagedFields;
    this.#cache = new ObjectCache(options.indexes ?? {}, (change) => this.#tell(change));
    this.synced = this.#synced.promise;
    // Nobody needs to wait for it.
    this.synced.catch(() => undefined);
    this.#ended = this.#run();
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get trouble(): { readonly reason: string; readonly message: string } | undefined {
    return this.#trouble;
  }

  get(key: ObjectKey): T | undefined {
    return this.#cache.get(key);
  }

  list(): Iterable<T> {
    return this.#cache.values();
  }

  count(): number {
    return this.#cache.size;
  }

  byIndex(index: string, value: string): readonly T[] {
    return this.#cache.byIndex(index, value);
  }

  onChange(listener: (change: Change<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  onTrouble(listener: () => void): () => void {
    this.#troubleListeners.add(listener);
    return () => void this.#troubleListeners.delete(listener);
  }

  async stop(): Promise<void> {
    const reason = new TransshipError('Stopping', `informer of ${this.type.plural} stops`);
    this.#ending.abort(reason);
    this.#synced.reject(reason);
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#connection;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      let pauseMs = 0;
      try {
        if (this.#version === undefined) await this.#list();
        else pauseMs = await this.#watch(this.#version);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof AssertionFailure) throw error;
        pauseMs = this.#failed(error);
      }
      if (pauseMs > 0) await sleep(clock, Math.min(pauseMs, backoff.maxMs), signal);
      else if (this.#failures > 0) await sleep(clock, backoffMs(backoff, 0, random), signal);
    }
  }

  /** Page by page into the cache, so that no list is ever whole in memory twice. */
  async #list(): Promise<void> {
    const { signal } = this.#ending;
    const selectors = this.#options.selectors ?? {};
    const keys = new Set<string>();
    let token = '';
    let version = '';
    do {
      const request = { selectors, limit: this.#pageItems, token, signal };
      const page = await readPageThatFits(this.#connection, this.type, request);
      for (const item of page.items) {
        const object = this.#trim(item);
        keys.add(keyText(keyOf(object)));
        this.#cache.listed(object);
      }
      ({ token, version } = page);
    } while (token !== '' && !signal.aborted);
    if (signal.aborted) return;
    this.#cache.retainOnly(keys);
    this.#version = version;
    this.#pageItems = pageItems;
    this.#isSynced = true;
    this.#synced.resolve();
  }

  /** How long to wait before the next; 0 after a healthy one. */
  async #watch(version: string): Promise<number> {
    const { clock, random } = this.#connection;
    const startMs = clock.monotonicMs();
    let brought = false;
    const wasHealthy = (): boolean => brought || clock.monotonicMs() - startMs >= healthyMs;
    const selectors = this.#options.selectors ?? {};
    const { signal } = this.#ending;
    const request = { selectors, version, bookmarks: this.#sendsBookmarks, signal };
    try {
      await watchOnce(this.#connection, this.type, request, {
        opened: () => this.#setTrouble(undefined),
        event: (event) => {
          brought = true;
          this.#take(event);
        },
      });
    } finally {
      if (wasHealthy()) this.#failures = 0;
    }
    if (wasHealthy()) return 0;
    // The server ends every watch at once: it is not well, even if it does not say so.
    return backoffMs(backoff, this.#failures++, random);
  }

  #take(event: WatchEvent<T>): void {
    if (event.type === 'bookmark') this.#sendsBookmarks = true;
    else if (event.type === 'seen') this.#cache.seen(this.#trim(event.object));
    else this.#cache.gone(this.#trim(event.object));
    const order = compareVersions(event.version, this.#version);
    if (event.version !== '' && (order === undefined || order > 0)) this.#version = event.version;
  }

  #failed(error: unknown): number {
    const { log, cluster, random } = this.#connection;
    const { reason, message } = asTransshipError(error);
    const isWatching = this.#version !== undefined;
    if (mustListAgain(error, this.#failures)) this.#version = undefined;
    if (isExpired(error)) {
      log.log('debug', 'list again', { cluster, type: this.type.plural, message });
      if (!isWatching) this.#pageItems = Math.min(this.#pageItems * 2, pageItemsMax);
    }
    // An outdated watch is ordinary, a cut one too; it is trouble when what follows fails as well.
    const isCut = reason === 'ApiUnreachable' && this.#failures === 0;
    const isOrdinary = isWatching && (isExpired(error) || isCut);
    if (!isOrdinary) this.#setTrouble({ reason, message });
    const pauseMs = backoffMs(backoff, this.#failures++, random);
    return Math.max(pauseMs, error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0);
  }

  #setTrouble(trouble: { readonly reason: string; readonly message: string } | undefined): void {
    if (this.#trouble?.message === trouble?.message) return;
    const { log, cluster } = this.#connection;
    const type = this.type.plural;
    if (trouble === undefined) log.log('info', 'watch works again', { cluster, type });
    else log.log('warn', 'watch fails', { cluster, type, ...trouble });
    this.#trouble = trouble;
    for (const listener of this.#troubleListeners) guarded(() => listener());
  }

  #tell(change: Change<T>): void {
    for (const listener of this.#listeners) guarded(() => listener(change));
  }
}

/**
 * Only a broken connection and a busy server leave the place in the stream as it was. A server that
 * fails again and again may do so because of that place.
 */
function mustListAgain(error: unknown, failures: number): boolean {
  if (error instanceof ApiError) {
    const isBusy = error.httpStatus === 429 || error.httpStatus >= 500;
    return !isBusy || failures >= sameVersionFailuresMax;
  }
  return !(error instanceof TransshipError && error.reason === 'ApiUnreachable');
}

/** A listener's defect is not the informer's trouble: it surfaces where defects do. */
function guarded(run: () => void): void {
  try {
    run();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
