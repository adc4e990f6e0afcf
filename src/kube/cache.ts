/**
 * The objects an informer keeps, with indexes. In one stretch of watching an object never goes
 * backwards: what is repeated or late is known by uid and version, where versions are numbers.
 */
import { assert } from '../base/errors.ts';
import type { Change } from './api.ts';
import { keyOf, keyText, type KubeObject, type ObjectKey } from './objects.ts';

export type IndexFunctions<T extends KubeObject> = Readonly<
  Record<string, (object: T) => readonly string[]>
>;

/** Deleted objects remembered, so that a late event does not bring one back. */
const deletedMax = 4096;

/** Positive when `a` is newer, negative when `b` is; undefined when nobody can tell. */
export function compareVersions(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (a === b) return 0;
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return undefined;
  const [x, y] = [BigInt(a), BigInt(b)];
  return x > y ? 1 : x < y ? -1 : 0;
}

/** True when both are known and `a` is older than `b` or the same. */
function isNotNewer(a: string | undefined, b: string | undefined): boolean {
  const order = compareVersions(a, b);
  return order !== undefined && order <= 0;
}

export class ObjectCache<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Map<string, Map<string, T>>>();
  readonly #indexFunctions: IndexFunctions<T>;
  readonly #changed: (change: Change<T>) => void;
  /** Key → version at which it was deleted; oldest first. */
  readonly #deleted = new Map<string, string>();

  constructor(indexFunctions: IndexFunctions<T>, changed: (change: Change<T>) => void) {
    this.#indexFunctions = indexFunctions;
    this.#changed = changed;
    for (const name of Object.keys(indexFunctions)) this.#indexes.set(name, new Map());
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: ObjectKey): T | undefined {
    return this.#objects.get(keyText(key));
  }

  values(): Iterable<T> {
    return this.#objects.values();
  }

  byIndex(name: string, value: string): readonly T[] {
    const index = this.#indexes.get(name);
    assert(index !== undefined, `there is no index ${name}`);
    return [...(index.get(value)?.values() ?? [])];
  }

  /** An object as a complete list has it: whatever was here before is over. */
  listed(object: T): void {
    this.#put(object);
  }

  /** After a complete list: what it did not have is gone. Late events start anew. */
  retainOnly(keys: ReadonlySet<string>): void {
    this.#deleted.clear();
    for (const [key, object] of this.#objects) if (!keys.has(key)) this.#take(key, object);
  }

  /** An object as an event has it. */
  seen(object: T): void {
    const key = keyText(keyOf(object));
    const version = object.metadata.resourceVersion;
    if (isNotNewer(version, this.#objects.get(key)?.metadata.resourceVersion)) return;
    if (isNotNewer(version, this.#deleted.get(key))) return;
    this.#deleted.delete(key);
    this.#put(object);
  }

  /** The end of an object as an event has it. */
  gone(object: T): void {
    const key = keyText(keyOf(object));
    const { uid, resourceVersion: version } = object.metadata;
    const known = this.#objects.get(key);
    if (known !== undefined) {
      const order = compareVersions(version, known.metadata.resourceVersion);
      // Some servers give the last version of the object instead of that of its deletion.
      const isLate = order === undefined ? uid !== known.metadata.uid : order < 0;
      if (isLate) return;
    }
    if (version !== undefined) this.#remember(key, version);
    if (known !== undefined) this.#take(key, known);
  }

  #remember(key: string, version: string): void {
    const before = this.#deleted.get(key);
    if (before !== undefined && isNotNewer(version, before)) return;
    this.#deleted.delete(key);
    this.#deleted.set(key, version);
    if (this.#deleted.size <= deletedMax) return;
    const [oldest] = this.#deleted.keys();
    if (oldest !== undefined) this.#deleted.delete(oldest);
  }

  #put(object: T): void {
    const key = keyText(keyOf(object));
    const before = this.#objects.get(key);
    const isSame = before?.metadata.uid === object.metadata.uid;
    const version = object.metadata.resourceVersion;
    if (isSame && version !== undefined && version === before?.metadata.resourceVersion) return;
    // Another incarnation: whoever cares for the former one is told of its end.
    if (before !== undefined && !isSame) this.#take(key, before);
    this.#unindex(key, isSame ? before : undefined);
    this.#objects.set(key, object);
    for (const [value, index] of this.#places(object)) {
      const bucket = index.get(value) ?? new Map<string, T>();
      bucket.set(key, object);
      index.set(value, bucket);
    }
    this.#changed({ key: keyOf(object), before: isSame ? before : undefined, now: object });
  }

  #take(key: string, object: T): void {
    this.#unindex(key, object);
    this.#objects.delete(key);
    this.#changed({ key: keyOf(object), before: object, now: undefined });
  }

  #unindex(key: string, object: T | undefined): void {
    if (object === undefined) return;
    for (const [value, index] of this.#places(object)) {
      const bucket = index.get(value);
      bucket?.delete(key);
      if (bucket?.size === 0) index.delete(value);
    }
  }

  *#places(object: T): Iterable<[string, Map<string, Map<string, T>>]> {
    for (const [name, index] of this.#indexes) {
      for (const value of this.#indexFunctions[name]?.(object) ?? []) yield [value, index];
    }
  }
}
