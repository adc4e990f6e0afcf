/** One repository, opened: its key, its catalogue, its versions (docs/formats/repository.md). */
import { createHash } from 'node:crypto';
import { asTransshipError, fail } from '../../base/errors.ts';
import type { Clock, Log, Random } from '../../base/ports.ts';
import { Catalogue } from './catalogue.ts';
import { decodeVersion, encodeVersion, type SavedVersion, versionObjectName } from './documents.ts';
import { decodeIndex, encodeIndex, type IndexedPack, indexRecordsMax } from './index-object.ts';
import { createKey, type MasterKey, openKey } from './keys.ts';
import { nameHex } from '../../volume/name.ts';
import { nameBytes } from '../../volume/types.ts';
import type { ObjectInfo, ObjectStore } from './object-store.ts';
import { magics, openObject, sealObject } from './sealed.ts';

const configName = 'config';
const togetherMax = 8;
const lookAgainMs = 10_000;

export interface RepositoryPorts {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class Repository {
  readonly ports: RepositoryPorts;
  readonly key: MasterKey;
  #loaded: { readonly catalogue: Catalogue; readonly indexes: Set<string> } | undefined;
  #loading: Promise<Catalogue> | undefined;
  #loadedMs = Number.NEGATIVE_INFINITY;
  readonly #lost = new Set<string>();

  private constructor(ports: RepositoryPorts, key: MasterKey) {
    this.ports = ports;
    this.key = key;
  }

  /**
   * `NotFound` when nobody has saved anything there, unless `create`; `Unauthorized` for another
   * password.
   */
  static async open(
    ports: RepositoryPorts,
    password: string,
    { create }: { readonly create: boolean },
  ): Promise<Repository> {
    const { store, random } = ports;
    const found = await readIfThere(store, configName);
    if (found !== undefined) return new Repository(ports, await openKey(password, found));
    if (!create) fail('NotFound', `${store.place} has no repository of Transship yet`);
    const { config } = await createKey(password, random);
    const text = Buffer.from(`${JSON.stringify(config, undefined, 2)}\n`);
    try {
      await store.put(configName, [text], { ifAbsent: true });
    } catch (error) {
      if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
    }
    // Somebody may have been faster, and then theirs holds.
    return new Repository(ports, await openKey(password, await store.get(configName)));
  }

  /** The same key, with other ports: more patience, or less. Nothing is loaded yet. */
  within(ports: RepositoryPorts): Repository {
    return new Repository(ports, this.key);
  }

  /** What is listed; loaded once, see `reload`. */
  catalogue(): Promise<Catalogue> {
    if (this.#loaded !== undefined) return Promise.resolve(this.#loaded.catalogue);
    return this.reload();
  }

  /** A pack was not there: what it had counts as absent, or is read from another one. */
  lostPack(id: Uint8Array): void {
    const key = nameHex(id);
    if (this.#lost.has(key)) return;
    this.#lost.add(key);
    this.#loaded = undefined;
  }

  /** For who misses a chunk: newer indexes may tell, but they do not come every moment. */
  async lookAgain(): Promise<Catalogue> {
    const sinceMs = this.ports.clock.monotonicMs() - this.#loadedMs;
    return sinceMs < lookAgainMs ? this.catalogue() : this.reload();
  }

  /** Reads the indexes that came since. `DataCorrupt` for a damaged one. */
  reload(): Promise<Catalogue> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(): Promise<Catalogue> {
    const names = new Set(await this.indexes());
    // Indexes that are gone were replaced, and their packs may be gone too.
    const isKept = [...(this.#loaded?.indexes ?? [])].every((name) => names.has(name));
    const base = isKept ? this.#loaded : undefined;
    const { catalogue, indexes } = base ?? { catalogue: new Catalogue(), indexes: new Set() };
    const fresh = [...names].filter((name) => !indexes.has(name));
    await this.eachIndex(fresh, (packs) => {
      for (const pack of packs) if (!this.#lost.has(nameHex(pack.id))) catalogue.add(pack);
    });
    for (const name of fresh) indexes.add(name);
    this.#loaded = { catalogue, indexes };
    this.#loadedMs = this.ports.clock.monotonicMs();
    return catalogue;
  }

  /** Those that count: not the ones that a prune has replaced and not yet deleted. */
  async indexes(): Promise<string[]> {
    const replaced = new Set<string>();
    // In this order: what replaces them was put before it was said that they are replaced.
    for (const { name } of await this.list('replaced/')) {
      const object = await readIfThere(this.ports.store, name);
      if (object === undefined) continue;
      const ids = openObject(this.key, magics.replaced, object);
      for (let at = 0; at < ids.length; at += nameBytes) {
        replaced.add(`indexes/${nameHex(ids.subarray(at, at + nameBytes))}`);
      }
    }
    const listed = await this.list('indexes/');
    return listed.map(({ name }) => name).filter((name) => !replaced.has(name));
  }

  /** From now on these indexes do not count, all of them at once. Returns the object's name. */
  async replace(indexes: readonly string[]): Promise<string> {
    const { random, store } = this.ports;
    const ids = indexes.map((name) => Buffer.from(name.slice('indexes/'.length), 'hex'));
    const name = `replaced/${Buffer.from(random.bytes(16)).toString('hex')}`;
    const bytes = Buffer.concat(ids);
    await store.put(name, sealObject(this.key, magics.replaced, { bytes, random }));
    return name;
  }

  /** One that is deleted meanwhile was replaced by a newer one. */
  async eachIndex(
    names: readonly string[],
    take: (packs: readonly IndexedPack[], name: string) => void,
  ): Promise<void> {
    const { store } = this.ports;
    for (let first = 0; first < names.length; first += togetherMax) {
      const some = names.slice(first, first + togetherMax);
      const objects = await Promise.all(some.map((name) => readIfThere(store, name)));
      objects.forEach((object, i) => {
        if (object === undefined) return;
        take(decodeIndex(openObject(this.key, magics.index, object)), some[i]!);
      });
    }
  }

  /** In this order, so that what is listed is always whole below. Returns their names. */
  async putIndexes(packs: readonly IndexedPack[], signal?: AbortSignal): Promise<string[]> {
    const names: string[] = [];
    for (const group of grouped(packs)) {
      const { random, store } = this.ports;
      const parts = sealObject(this.key, magics.index, { bytes: encodeIndex(group), random });
      const digest = createHash('sha256');
      for (const part of parts) digest.update(part);
      const sha256 = digest.digest('hex');
      const name = `indexes/${sha256}`;
      await putOnce(store, name, parts, { sha256, ...(signal === undefined ? {} : { signal }) });
      names.push(name);
    }
    return names;
  }

  /** The newest last. Damaged ones are told and left out. */
  async versions(onDamaged?: (object: string) => void): Promise<readonly SavedVersion[]> {
    const found: SavedVersion[] = [];
    const listed = await this.list('versions/');
    for (let first = 0; first < listed.length; first += togetherMax) {
      const some = listed.slice(first, first + togetherMax);
      const objects = await Promise.all(
        some.map(({ name }) => readIfThere(this.ports.store, name)),
      );
      objects.forEach((object, i) => {
        if (object === undefined) return;
        try {
          found.push(decodeVersion(this.key, object));
        } catch (error) {
          if (asTransshipError(error).reason !== 'DataCorrupt' || onDamaged === undefined)
            throw error;
          onDamaged(some[i]!.name);
        }
      });
    }
    return found.toSorted((a, b) => a.savedMs - b.savedMs);
  }

  async version(volume: string, name: string): Promise<SavedVersion | undefined> {
    const object = await readIfThere(this.ports.store, versionObjectName(this.key, volume, name));
    return object === undefined ? undefined : decodeVersion(this.key, object);
  }

  async putVersion(version: SavedVersion): Promise<void> {
    const { store, random } = this.ports;
    const name = versionObjectName(this.key, version.volume, version.name);
    await store.put(name, encodeVersion(this.key, random, version));
  }

  /** `NotFound`. What it took is given back by `prune`. */
  async forget(volume: string, name: string): Promise<SavedVersion> {
    const version = await this.version(volume, name);
    if (version === undefined) fail('NotFound', `no version ${name} of volume ${volume} is saved`);
    await this.ports.store.delete(versionObjectName(this.key, volume, name));
    return version;
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    const found: ObjectInfo[] = [];
    for await (const info of this.ports.store.list(prefix)) found.push(info);
    return found;
  }
}

/** Undefined: there is none. */
export async function readIfThere(
  store: ObjectStore,
  name: string,
): Promise<Uint8Array | undefined> {
  try {
    return await store.get(name);
  } catch (error) {
    if (asTransshipError(error).reason === 'NotFound') return undefined;
    throw error;
  }
}

/** For names that say the content: that there is one is as good. */
export async function putOnce(
  store: ObjectStore,
  name: string,
  parts: readonly Uint8Array[],
  options: { readonly sha256: string; readonly signal?: AbortSignal },
): Promise<void> {
  try {
    await store.put(name, parts, { ...options, ifAbsent: true });
  } catch (error) {
    if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
  }
}

function* grouped(packs: readonly IndexedPack[]): Generator<readonly IndexedPack[]> {
  let group: IndexedPack[] = [];
  let records = 0;
  for (const pack of packs) {
    if (records + pack.entries.length > indexRecordsMax && group.length > 0) {
      yield group;
      group = [];
      records = 0;
    }
    group.push(pack);
    records += pack.entries.length;
  }
  if (group.length > 0) yield group;
}
