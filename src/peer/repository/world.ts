/** For tests: two pools, a place between them, and what opens a volume of one from the other. */
import { createHash } from 'node:crypto';
import type { PoolApi } from '../../volume/api.ts';
import { noHistory } from '../../volume/api.ts';
import { createTestPool, createTestRandom, quietLog, type TestPool } from '../../volume/testing.ts';
import { noMetrics, within } from '../fixture.ts';
import { createManualClock, type ManualClock } from '../manual-clock.ts';
import type { TeleportRecord } from '../teleport-record.ts';
import { TeleportManager } from '../teleports.ts';
import type { SavedVersion } from './documents.ts';
import { createMemoryObjectStore, type MemoryObjectStore } from './memory-store.ts';
import { Repository, type RepositoryPorts } from './repository.ts';
import { RepositoryPeer } from './repository-peer.ts';
import { saveVersion, type SaveRequest } from './save.ts';

export const MiB = 1024 * 1024;
export const blockBytes = 65_536;
export const password = 'correct horse';

export interface World {
  readonly clock: ManualClock;
  readonly store: MemoryObjectStore;
  readonly east: TestPool;
  readonly ports: RepositoryPorts;
  /** As a process that has just started would. */
  open(create?: boolean): Promise<Repository>;
  save(name: string, request?: Partial<SaveRequest>): Promise<SavedVersion>;
  /** Bytes of the whole volume, arrived in a new pool through a teleport from the repository. */
  fetch(name: string, pool?: PoolApi): Promise<Uint8Array>;
}

/** `known`: its key, which takes long to derive. */
export async function createWorld(known?: Repository): Promise<World> {
  const clock = createManualClock();
  const store = createMemoryObjectStore(clock);
  const east = await createTestPool();
  const ports = { store, clock, random: createTestRandom(7), log: quietLog };
  let opened = known;
  const world: World = {
    clock,
    store,
    east,
    ports,
    open: async (create = false) => {
      // Keys take long to derive, and there is one.
      if (known === undefined && !store.objects.has('config')) opened = undefined;
      opened ??= await Repository.open(ports, password, { create });
      return opened.within(ports);
    },
    save: async (name, request = {}) => {
      const repository = await world.open(true);
      return drive(clock, saveVersion(repository, { ...saving(east.pool, name), ...request }));
    },
    fetch: async (name, pool) => {
      await world.open();
      const teleports = await arriving(world, pool ?? (await createTestPool()).pool);
      const record = await drive(clock, teleports.start(name));
      await until(clock, () => teleports.phase() === 'Available');
      const volume = teleports.pool.volume(record.volume);
      const bytes = new Uint8Array(volume.sizeBytes);
      await volume.read(bytes, 0);
      await teleports.close();
      return bytes;
    },
  };
  return world;
}

export function saving(pool: PoolApi, name: string): SaveRequest {
  return {
    pool,
    volume: 'db',
    name,
    cluster: 'east',
    signal: new AbortController().signal,
    onProgress: () => undefined,
  };
}

export function peerOf({ ports, open }: World): RepositoryPeer {
  return new RepositoryPeer({
    ports,
    open: async (store) => (await open()).within({ ...ports, store }),
  });
}

/** Teleports from the repository into one pool. */
export async function arriving(world: World, pool: PoolApi) {
  let saved: readonly TeleportRecord[] = [];
  const { clock, ports } = world;
  const peer = peerOf(world);
  const manager = new TeleportManager({
    ...ports,
    metrics: noMetrics,
    cluster: 'west',
    pools: () => [{ name: 'default', api: pool }],
    peer: () => peer,
    load: () => saved,
    save: (records) => {
      saved = records;
    },
  });
  await drive(clock, manager.resume());
  return {
    manager,
    pool,
    peer,
    phase: () => manager.list().at(-1)?.phase,
    start: (version: string, name = `db-${version}`): Promise<TeleportRecord> =>
      manager.start({
        cluster: 'repository:between',
        volume: 'db',
        snapshot: version,
        name,
        pool: 'default',
        policy: noHistory,
        policyName: 'none',
        thin: false,
      }),
    close: () => manager.close(),
  };
}

/** Lets time pass until the promise settles. */
export function drive<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  return within(clock, 2_000_000, promise);
}

export async function until(clock: ManualClock, reached: () => boolean): Promise<void> {
  for (let turns = 0; turns < 200_000; turns++) {
    if (reached()) return;
    await clock.advance(10);
  }
  throw new Error('it was waited for in vain');
}

/** `MiB` of random bytes at the start of volume db of the first pool. */
export async function writeDb(
  world: World,
  mib: number,
  sizeMib = 64,
  blockSize = blockBytes,
): Promise<Uint8Array> {
  const data = new Uint8Array(sizeMib * MiB);
  data.set(noise(mib, mib * MiB));
  const volume = await world.east.pool.createVolume({
    name: 'db',
    sizeBytes: sizeMib * MiB,
    blockBytes: blockSize,
  });
  await volume.write(data.subarray(0, mib * MiB), 0);
  return data;
}

/** Bytes that nothing compresses, the same for the same label. */
export function noise(label: number, bytes: number): Uint8Array {
  return createHash('shake256', { outputLength: bytes }).update(`noise ${label}`).digest();
}
