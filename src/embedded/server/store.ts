/**
 * The state of a cluster: texts under keys, every change with a version of its own. The versions of
 * a key that a list or watch may still ask for are kept as long as the change that ended them is in
 * the history. Nothing is visible before `Persistence.commit` returned.
 */
import type { JsonObject } from '../schema/api.ts';
import type { Persistence, StoredChange } from './api.ts';
import { metaOf, objectAt, parseObject, withMeta } from './json.ts';
import { SortedKeys } from './sorted-keys.ts';
import { tooOldVersion } from './status.ts';

/** Changes that a watch can resume over, unless the options say otherwise. */
export const historyMaxDefault = 10_000;
/** Parsed objects kept, so that writers of a busy object need not parse it each time. */
const parsedMax = 512;
/** Forgotten changes before the array is copied without them. */
const forgottenMax = 1024;

/** One version of one key. */
export interface Entry {
  readonly key: string;
  readonly version: number;
  /** JSON with `metadata.resourceVersion`. Undefined: deleted at this version. */
  readonly text: string | undefined;
  /** For selectors, which would have to parse everything otherwise. */
  readonly labels: JsonObject;
}

export interface StoreEvent {
  readonly version: number;
  readonly before: Entry | undefined;
  readonly now: Entry;
}

/** The new content of a key; undefined deletes it. */
export interface Draft {
  readonly key: string;
  readonly object: JsonObject | undefined;
}

export interface ListRange {
  /** Of keys, from `collectionOf` or longer. */
  readonly prefix: string;
  /** The first key that may be listed. */
  readonly from?: string;
  /** The version to list at; the newest when absent. */
  readonly version?: number;
}

/** `/group/plural/`: what lists and watches of all namespaces begin with. */
export function collectionOf(key: string): string {
  const group = key.indexOf('/', 1);
  return key.slice(0, key.indexOf('/', group + 1) + 1);
}

const noLabels: JsonObject = {};

export class Store {
  readonly #persistence: Persistence;
  readonly #historyMax: number;
  readonly #entries = new Map<string, Entry[]>();
  readonly #collections = new Map<string, SortedKeys>();
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #parsed = new Map<Entry, JsonObject>();
  /** Oldest first; what is before `#first` is forgotten. */
  #events: StoreEvent[] = [];
  #first = 0;
  #version: number;
  /** Changes up to here were before this process. */
  readonly #loaded: number;
  /** By collection: the version of its newest change that is forgotten. */
  readonly #forgotten = new Map<string, number>();

  constructor(persistence: Persistence, historyMax = historyMaxDefault) {
    this.#persistence = persistence;
    this.#historyMax = historyMax;
    const { version, changes } = persistence.load();
    this.#version = Math.max(version, 1);
    this.#loaded = this.#version;
    for (const change of changes) this.#load(change);
  }

  /** Of the newest change. */
  get version(): number {
    return this.#version;
  }

  /**
   * The oldest version of which lists and watches of the collection are still known. It is the
   * collection's own: a quiet one stays resumable however busy the others are.
   */
  oldestOf(prefix: string): number {
    return Math.max(this.#loaded, this.#forgotten.get(collectionOf(prefix)) ?? 0);
  }

  /** Nobody may resume in a collection from before now. */
  forgetBefore(collection: string): void {
    this.#forgotten.set(collection, this.#version);
  }

  get(key: string): Entry | undefined {
    const entry = this.#entries.get(key)?.at(-1);
    return entry?.text === undefined ? undefined : entry;
  }

  /** Its object, parsed; to be read only. */
  read(entry: Entry): JsonObject {
    const known = this.#parsed.get(entry);
    if (known !== undefined) return known;
    const object = parseObject(entry.text ?? '{}') ?? {};
    this.#remember(entry, object);
    return object;
  }

  getObject(key: string): JsonObject | undefined {
    const entry = this.get(key);
    return entry === undefined ? undefined : this.read(entry);
  }

  /** In the order of keys. Do not write before the iteration has ended. */
  *list(range: ListRange): Generator<Entry, void, undefined> {
    const version = range.version ?? this.#version;
    this.#requireKnown(version, range.prefix);
    const keys = this.#collections.get(collectionOf(range.prefix));
    if (keys === undefined) return;
    for (const key of keys.range(range.prefix, range.from ?? '')) {
      const entries = this.#entries.get(key) ?? [];
      const entry = entries.findLast((candidate) => candidate.version <= version);
      if (entry?.text !== undefined) yield entry;
    }
  }

  /**
   * Makes the changes durable, all or none, then visible. Returns what is now under each key.
   * Throws what the persistence throws; then nothing has changed.
   */
  commit(drafts: readonly Draft[]): readonly Entry[] {
    if (drafts.length === 0) return [];
    const made = drafts.map((draft, i) => makeEntry(draft, this.#version + 1 + i));
    this.#persistence.commit(
      made.map(({ entry: { key, version, text: body } }) => ({ key, version, body })),
    );
    for (const { entry, object } of made) this.#install(entry, object);
    const touched = new Set(drafts.map((draft) => collectionOf(draft.key)));
    for (const collection of touched) {
      for (const listener of this.#listeners.get(collection) ?? []) listener();
    }
    return made.map(({ entry }) => entry);
  }

  /** The version that the next change will have. */
  get nextVersion(): number {
    return this.#version + 1;
  }

  /**
   * Changes after a version, oldest first, with their keys beginning with the prefix. Ends at the
   * newest one there is. Throws a 410 when some of them are forgotten. Do not write before the
   * iteration has ended.
   */
  *changesAfter(version: number, prefix: string): Generator<StoreEvent, void, undefined> {
    this.#requireKnown(version, prefix);
    let low = this.#first;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.version ?? 0) <= version) low = middle + 1;
      else high = middle;
    }
    for (let i = low; i < this.#events.length; i++) {
      const event = this.#events[i];
      if (event?.now.key.startsWith(prefix)) yield event;
    }
  }

  #requireKnown(version: number, prefix: string): void {
    const oldest = this.oldestOf(prefix);
    if (version < oldest) throw tooOldVersion(version, oldest);
  }

  /** Calls back after each commit that touched the collection. Returns what ends it. */
  onCommit(collection: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(collection) ?? new Set();
    this.#listeners.set(collection, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(collection) === listeners) {
        this.#listeners.delete(collection);
      }
    };
  }

  #load(change: StoredChange): void {
    const { key, version, body: text } = change;
    if (text === undefined) return;
    const labels = objectAt(metaOf(parseObject(text)), 'labels');
    this.#entries.set(key, [{ key, version, text, labels }]);
    this.#keysOf(key).append(key);
  }

  #keysOf(key: string): SortedKeys {
    const collection = collectionOf(key);
    const keys = this.#collections.get(collection) ?? new SortedKeys();
    this.#collections.set(collection, keys);
    return keys;
  }

  #install(entry: Entry, object: JsonObject | undefined): void {
    const entries = this.#entries.get(entry.key);
    const last = entries?.at(-1);
    const before = last?.text === undefined ? undefined : last;
    if (entries === undefined) {
      this.#entries.set(entry.key, [entry]);
      this.#keysOf(entry.key).insert(entry.key);
    } else {
      entries.push(entry);
    }
    if (before !== undefined) this.#parsed.delete(before);
    if (object !== undefined) this.#remember(entry, object);
    this.#version = entry.version;
    this.#events.push({ version: entry.version, before, now: entry });
    if (this.#events.length - this.#first > this.#historyMax) this.#forget();
  }

  #remember(entry: Entry, object: JsonObject): void {
    this.#parsed.set(entry, object);
    if (this.#parsed.size <= parsedMax) return;
    const [oldest] = this.#parsed.keys();
    if (oldest !== undefined) this.#parsed.delete(oldest);
  }

  /** Drops the oldest change, and the content that only it could still ask for. */
  #forget(): void {
    const event = this.#events[this.#first];
    if (event === undefined) return;
    this.#first += 1;
    if (this.#first > forgottenMax) {
      this.#events = this.#events.slice(this.#first);
      this.#first = 0;
    }
    const { key } = event.now;
    this.#forgotten.set(collectionOf(key), event.version);
    const entries = this.#entries.get(key);
    if (entries === undefined) return;
    const keepFrom = entries.findLastIndex((entry) => entry.version <= event.version);
    if (keepFrom > 0) entries.splice(0, keepFrom);
    if (entries.length === 1 && entries[0]?.text === undefined) {
      this.#entries.delete(key);
      this.#keysOf(key).remove(key);
    }
  }
}

function makeEntry(
  { key, object }: Draft,
  version: number,
): { readonly entry: Entry; readonly object: JsonObject | undefined } {
  if (object === undefined) {
    return { entry: { key, version, text: undefined, labels: noLabels }, object };
  }
  const stamped = withMeta(object, { resourceVersion: String(version) });
  const labels = objectAt(metaOf(stamped), 'labels');
  return { entry: { key, version, text: JSON.stringify(stamped), labels }, object: stamped };
}
