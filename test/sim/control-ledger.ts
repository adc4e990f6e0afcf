/**
 * What the volumes of one agent must contain: the pool, with a model beside each of its volumes.
 * Everything that makes, copies or removes a volume passes here, whoever asked for it.
 */
import { TransshipError } from '../../src/base/errors.ts';
import type { PoolApi, VolumeApi } from '../../src/volume/api.ts';
import { nameHex } from '../../src/volume/name.ts';
import type { Version } from '../../src/volume/types.ts';
import { type Frozen, Mismatch, VolumeModel } from './model.ts';
import { overlay } from './mutants.ts';
import type { Range } from './range.ts';

export interface Kept {
  readonly name: string;
  readonly model: VolumeModel;
  /** Ranges that somebody reads or writes now. */
  readonly busy: Set<Range>;
  /** A crash came between: what is there now was not read yet. */
  unread: { readonly powerLost: boolean } | undefined;
  /** Read again at this moment. */
  isBeingRead: boolean;
}

/** A volume that comes or goes: after a crash it is there or not. */
interface Expected {
  readonly frozen: Frozen;
  readonly source: VolumeModel | undefined;
}

const blockBytesDefault = 64 * 1024;

/** Contents of versions that pools gave out, by root and size: what teleports begin with. */
export class Versions {
  readonly #known = new Map<string, Frozen>();

  put(version: Version, frozen: Frozen): void {
    this.#known.set(keyOf(version), frozen);
  }

  find(version: Version): Frozen | undefined {
    return this.#known.get(keyOf(version));
  }
}

function keyOf({ root, sizeBytes }: Version): string {
  return `${nameHex(root)} ${sizeBytes}`;
}

export interface LedgerOptions {
  readonly versions: Versions;
  /** Called before a volume is deleted; throws a `Mismatch` when it must not be. */
  readonly onDelete: (volume: string, force: boolean) => void;
  readonly onFailure: (error: Error) => void;
}

export class Ledger {
  readonly volumes = new Map<string, Kept>();
  readonly #expected = new Map<string, Expected>();
  readonly #o: LedgerOptions;

  constructor(options: LedgerOptions) {
    this.#o = options;
  }

  /** The pool, seen by this ledger while `isAlive`. */
  watch(pool: PoolApi, isAlive: () => boolean): PoolApi {
    const during = async <T>(name: string, expected: Expected, work: () => Promise<T>) => {
      this.#expected.set(name, expected);
      try {
        return await work();
      } finally {
        if (isAlive()) this.#settle(pool, name);
      }
    };
    return overlay(pool, {
      createVolume: (request) => {
        const { name, sizeBytes, blockBytes = blockBytesDefault } = request;
        if (this.#isTaken(name)) return pool.createVolume(request);
        const frozen = new VolumeModel(name, { sizeBytes, blockBytes }).freeze(name);
        return during(name, { frozen, source: undefined }, () => pool.createVolume(request));
      },
      createFromVersion: (request) => {
        const { name, version } = request;
        if (this.#isTaken(name)) return pool.createFromVersion(request);
        const frozen = this.#o.versions.find(version);
        if (frozen === undefined) throw new Mismatch(`${name} is of a version nobody gave out`);
        const model = new VolumeModel(name, version, frozen);
        const expected = { frozen: model.freeze(frozen.what), source: undefined };
        return during(name, expected, () => pool.createFromVersion(request));
      },
      cloneVolume: (source, moment, request) => {
        const { name } = request;
        const from = this.#current(pool, source);
        if (from === undefined || this.#isTaken(name)) {
          return pool.cloneVolume(source, moment, request);
        }
        const frozen = this.#freeze(from, `${source} as ${name}`);
        const expected = { frozen, source: from.model };
        return during(name, expected, () => pool.cloneVolume(source, moment, request));
      },
      deleteVolume: (name, options) => this.#delete(pool, isAlive, name, options),
      grantLease: async (request) => {
        const from = this.#current(pool, request.volume);
        if (from === undefined) return pool.grantLease(request);
        const frozen = this.#freeze(from, `${request.volume} for ${request.holder}`);
        try {
          const grant = await pool.grantLease(request);
          if (isAlive()) this.#o.versions.put(grant.version, frozen);
          return grant;
        } finally {
          from.model.endFreeze(frozen);
        }
      },
    });
  }

  /** The process ended: what it had promised has to be read once more. */
  ended(powerLost: boolean): void {
    for (const volume of this.volumes.values()) {
      volume.busy.clear();
      volume.isBeingRead = false;
      volume.unread = { powerLost: powerLost || volume.unread?.powerLost === true };
    }
    for (const { source, frozen } of this.#expected.values()) source?.endFreeze(frozen);
  }

  /** The pool was opened again: all that was acknowledged is there, and nothing else. */
  reopened(pool: PoolApi): void {
    const present = new Set(pool.volumes().map(({ name }) => name));
    for (const name of this.#expected.keys()) {
      this.#settle(pool, name);
      const volume = this.volumes.get(name);
      if (volume !== undefined) volume.unread = { powerLost: true };
    }
    for (const name of present) {
      if (!this.volumes.has(name)) throw new Mismatch(`volume ${name} came out of nothing`);
    }
    for (const name of this.volumes.keys()) {
      if (!present.has(name)) throw new Mismatch(`volume ${name} is lost`);
    }
  }

  /** The volume with the size that it has now: volumes grow. */
  #current(pool: PoolApi, name: string): Kept | undefined {
    const volume = this.volumes.get(name);
    const device = pool.volumes().find((one) => one.name === name);
    if (volume === undefined || device === undefined) return undefined;
    grow(volume, device);
    return volume;
  }

  #isTaken(name: string): boolean {
    return this.volumes.has(name) || this.#expected.has(name);
  }

  #freeze({ model, unread }: Kept, what: string): Frozen {
    return unread === undefined ? model.freeze(what) : model.anyOf(what);
  }

  async #delete(
    pool: PoolApi,
    isAlive: () => boolean,
    name: string,
    options: { readonly force?: boolean } | undefined,
  ): Promise<void> {
    const volume = this.#current(pool, name);
    if (volume === undefined) return pool.deleteVolume(name, options);
    try {
      this.#o.onDelete(name, options?.force === true);
    } catch (error) {
      this.#o.onFailure(error instanceof Error ? error : new Error(String(error)));
    }
    const frozen = volume.model.anyOf('what a crash may leave');
    this.volumes.delete(name);
    this.#expected.set(name, { frozen, source: undefined });
    try {
      await pool.deleteVolume(name, options);
      if (isAlive()) this.#settle(pool, name);
    } catch (error) {
      if (!isAlive()) throw error;
      this.#expected.delete(name);
      const isThere = pool.volumes().some((one) => one.name === name);
      if (isThere) this.volumes.set(name, volume);
      if (!(error instanceof TransshipError)) throw error;
      throw error;
    }
  }

  #settle(pool: PoolApi, name: string): void {
    const expected = this.#expected.get(name);
    if (expected === undefined) return;
    this.#expected.delete(name);
    const { frozen, source } = expected;
    source?.endFreeze(frozen);
    const device = pool.volumes().find((one) => one.name === name);
    if (device === undefined) return;
    const model = new VolumeModel(name, frozen, frozen);
    const kept = { name, model, busy: new Set<Range>(), unread: undefined, isBeingRead: false };
    grow(kept, device);
    this.volumes.set(name, kept);
  }
}

export function grow({ model }: Pick<Kept, 'model'>, device: VolumeApi): void {
  if (device.sizeBytes !== model.sizeBytes) model.resize(device.sizeBytes);
}
