/**
 * Engines that are broken on purpose, by a wrapper around a port or an answer. Each breaks one
 * promise; a simulation that does not notice is worth nothing.
 */
import type { Disk, DiskFile } from '../../src/base/ports.ts';
import type { PoolApi, VolumeApi } from '../../src/volume/api.ts';
import type { Packer } from '../../src/volume/types.ts';
import type { Profile } from './engine-profile.ts';
import { openEngine } from './engine-run.ts';
import type { Engine, OpenEngine } from './engine-world.ts';

export interface Mutant {
  readonly promise: string;
  readonly profile?: Partial<Profile>;
  readonly mutate?: (engine: Engine) => Engine;
  readonly open?: OpenEngine;
}

const crashing: Partial<Profile> = {
  powerLoss: 0.06,
  crashInCall: 0,
  crashInOpen: 0,
  faults: {},
  rot: 0,
  tight: false,
  capacityBytes: 2 ** 29,
};

function lying(prefix: string): Mutant {
  return {
    promise: `${prefix === '' ? 'nothing' : prefix} is synced`,
    profile: { ...crashing, faults: { lyingSync: prefix } },
  };
}

function withDisk(promise: string, wrap: (disk: Disk) => Disk): Mutant {
  const mutate = (engine: Engine) => ({ ...engine, disk: wrap(engine.disk) });
  return { promise, profile: crashing, mutate };
}

function withPool(promise: string, change: (pool: PoolApi) => Partial<PoolApi>): Mutant {
  const open: OpenEngine = async (engine) => {
    const pool = await openEngine(engine);
    return overlay(pool, change(pool));
  };
  return { promise, profile: crashing, open };
}

function withVolumes(promise: string, change: (volume: VolumeApi) => Partial<VolumeApi>): Mutant {
  return withPool(promise, (pool) => ({
    volume: (name) => overlay(pool.volume(name), change(pool.volume(name))),
  }));
}

/** The object with some members replaced; the others keep their private state. */
export function overlay<T extends object>(target: T, changes: Partial<T>): T {
  return new Proxy(target, {
    get: (_, key) => {
      const own = Object.hasOwn(changes, key) ? changes : target;
      const value: unknown = Reflect.get(own, key, own);
      return typeof value === 'function' ? value.bind(own) : value;
    },
  });
}

function withFiles(disk: Disk, wrap: (file: DiskFile) => Partial<DiskFile>): Disk {
  return {
    ...disk,
    open: (path, options) => {
      const file = disk.open(path, options);
      return { ...file, ...wrap(file) };
    },
  };
}

function withPacker(promise: string, change: (packer: Packer) => Partial<Packer>): Mutant {
  const mutate = (engine: Engine) => ({
    ...engine,
    packer: { ...engine.packer, ...change(engine.packer) },
  });
  return { promise, profile: crashing, mutate };
}

export const mutants: Readonly<Record<string, Mutant>> = {
  'journal-unsynced': lying('journal/'),
  'segments-unsynced': lying('segments/'),
  'documents-unsynced': lying('volumes/'),
  'directories-unsynced': {
    promise: 'a renamed document stays renamed',
    profile: { ...crashing, faults: { lyingDirectories: true } },
  },
  'flush-does-nothing': withVolumes('a flush is durable', () => ({ flush: async () => {} })),
  'zeroes-ignored': withVolumes('zeroes are zeroes', () => ({ writeZeroes: () => undefined })),
  'sector-torn': withVolumes('a write writes all of it', (volume) => ({
    write: (from, offset) => volume.write(from.subarray(0, Math.max(1, from.length - 1)), offset),
  })),
  'lease-not-kept': withPool('a leased version is never collected', (pool) => ({
    grantLease: async (request) => {
      const grant = await pool.grantLease(request);
      await pool.releaseLease(grant.leaseId);
      return grant;
    },
    leases: () => [],
  })),
  'snapshot-moves': withVolumes('a snapshot is of the moment it was taken', (volume) => ({
    snapshot: async (name, options) => {
      const info = await volume.snapshot(name, options);
      await volume.deleteSnapshot(name);
      await volume.write(new Uint8Array(4096).fill(0xee), 0);
      await volume.snapshot(name, options);
      return info;
    },
  })),
  'names-collide': withPacker('different blocks have different names', (packer) => ({
    pack: async (blocks, blockBytes, known) => {
      const packed = await packer.pack(blocks, blockBytes, known);
      return packed.map((one, at) => (at === 1 ? { ...packed[0]!, name: packed[0]!.name } : one));
    },
  })),
  'chunks-claimed': withPacker('only what the pool has is left out', (packer) => ({
    pack: async (blocks, blockBytes, known) => {
      const packed = await packer.pack(blocks, blockBytes, known);
      if (known === undefined || packed.length < 2) return packed;
      return packed.map((one, at) => (at === 0 ? { ...one, name: packed[1]!.name } : one));
    },
  })),
  'removal-undone': withDisk('what is removed stays removed', (disk) => ({
    ...disk,
    remove: (path) => (path.startsWith('volumes/') ? undefined : disk.remove(path)),
  })),
  'appends-short': withDisk('the journal has all of a write', (disk) =>
    withFiles(disk, (file) => ({
      write: (parts, position) => {
        const drop = file.path.startsWith('journal/') && position > 40_960 && parts.length > 1;
        file.write(drop ? parts.slice(0, 1) : parts, position);
      },
    })),
  ),
};
