import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import type { VolumeOrigin } from '../volume/api.ts';
import { nameHex } from '../volume/name.ts';
import { createTestPool, type TestPool } from '../volume/testing.ts';
import type { ChunkSource, Name, StoredChunk } from '../volume/types.ts';
import { fill, type FillOptions, type FillProgress } from './filler.ts';

const MiB = 1024 * 1024;
const blockBytes = 65536;
const blocks = 400;

interface Scene {
  readonly east: TestPool;
  readonly west: TestPool;
  readonly origin: VolumeOrigin;
  readonly data: Uint8Array;
  /** Names in the order they were asked for. */
  readonly asked: string[];
  readonly source: ChunkSource & { refuse: (name: Name) => boolean };
  progress: FillProgress | undefined;
  run(options?: Partial<FillOptions>): Promise<boolean>;
}

async function scene(): Promise<Scene> {
  const east = await createTestPool();
  const west = await createTestPool();
  const volume = await east.pool.createVolume({ name: 'db', sizeBytes: 64 * MiB });
  const data = east.random.bytes(blocks * blockBytes);
  await volume.write(data, 0);
  const request = { volume: 'db', holder: 'west/db', lifeMs: 3600_000 };
  const { leaseId, version } = await east.pool.grantLease(request);
  const { sizeBytes, allocatedBlocks } = version;
  const shape = { root: nameHex(version.root), sizeBytes, blockBytes, allocatedBlocks };
  const from = { cluster: 'east', volume: 'db', leaseId, thin: false, teleport: 'db-1' };
  const origin: VolumeOrigin = { ...from, ...shape };
  const asked: string[] = [];
  const source = {
    refuse: (_name: Name) => false,
    readPath: (ask: Parameters<ChunkSource['readPath']>[0]) => east.pool.readPath(ask),
    pull: async (names: readonly Name[]): Promise<readonly StoredChunk[]> => {
      asked.push(...names.map(nameHex));
      return east.pool.readStored(names.filter((name) => !source.refuse(name)));
    },
  };
  await west.pool.createFromVersion({ name: 'db', version, origin, source });
  const made: Scene = {
    east,
    west,
    origin,
    data,
    asked,
    source,
    progress: undefined,
    run: (options = {}) =>
      fill({
        pool: west.pool,
        source,
        origin,
        recentUse: [],
        onProgress: (progress) => {
          made.progress = progress;
        },
        stopped: () => false,
        pause: async () => undefined,
        ...options,
      }),
  };
  return made;
}

async function isWhole({ west, data }: Scene): Promise<void> {
  const volume = west.pool.volume('db');
  await volume.setOrigin(undefined, undefined);
  const found = new Uint8Array(data.length);
  await volume.read(found, 0);
  assert.ok(Buffer.from(found).equals(data), 'every byte is here, with nobody to ask');
}

suite('filler', () => {
  test('brings all of it, each chunk once', async () => {
    const one = await scene();
    assert.equal(await one.run(), true);
    assert.equal(new Set(one.asked).size, one.asked.length);
    assert.equal(one.progress?.fetchedBlocks, blocks);
    assert.ok((one.progress?.fetchedBytes ?? 0) > 0);
    await isWhole(one);
  });

  test('what the source used most recently comes first, in its order', async () => {
    const one = await scene();
    const { pool } = one.east;
    const used = [
      { first: 300, count: 16 },
      { first: 32, count: 16 },
    ];
    await one.run({ recentUse: used });
    const root = one.origin.root;
    const { sizeBytes } = one.origin;
    const nameOfBlock = async (firstBlock: number): Promise<string> => {
      const path = await pool.readPath({
        root: Buffer.from(root, 'hex'),
        sizeBytes,
        blockBytes,
        firstBlock,
        blockCount: 1,
        skipLevels: 3,
      });
      return nameHex(path.at(-1)!.name);
    };
    const first = one.asked.indexOf(await nameOfBlock(300));
    const second = one.asked.indexOf(await nameOfBlock(40));
    const last = one.asked.indexOf(await nameOfBlock(0));
    assert.ok(first < second && second < last, `${first} ${second} ${last}`);
  });

  test('what the pool has is not asked for', async () => {
    const one = await scene();
    const mine = await one.west.pool.createVolume({ name: 'other', sizeBytes: 64 * MiB });
    await mine.write(one.data.subarray(0, 200 * blockBytes), 7 * MiB);
    await mine.seal();
    await one.run();
    assert.ok(one.asked.length <= 200 + 4, `${one.asked.length} asked`);
    assert.equal(one.progress?.presentBlocks, 200);
    await isWhole(one);
  });

  test('stopped and begun again, it asks only for the rest', async () => {
    const one = await scene();
    const stopped = () => one.asked.length > 100;
    assert.equal(await one.run({ stopped }), false);
    const before = one.asked.length;
    assert.ok(before < blocks, `${before} asked before it stopped`);
    const had = one.west.pool.status().chunks;
    assert.equal(await one.run(), true);
    const after = one.asked.length - before;
    assert.ok(after <= blocks + 4 - had, `${after} asked with ${had} here`);
    await isWhole(one);
  });

  test('what is refused for a while is asked for until it comes', async () => {
    const one = await scene();
    let refusals = 0;
    let pauses = 0;
    one.source.refuse = (name) => (name[0] ?? 0) < 40 && refusals++ < 100;
    const pause = async () => {
      pauses++;
    };
    assert.equal(await one.run({ pause }), true);
    assert.ok(pauses > 0);
    await isWhole(one);
  });

  test('a source that is gone ends it with the reason', async () => {
    const one = await scene();
    const gone = new TransshipError('SourceGone', 'the lease has ended');
    const pull = one.source.pull;
    one.source.pull = async (names) => {
      if (one.asked.length > 100) throw gone;
      return pull(names, 'background');
    };
    await assert.rejects(one.run(), { reason: 'SourceGone' });
  });

  test('what came in another way is not waited for', async () => {
    const one = await scene();
    const { pull } = one.source;
    let look: () => void = () => assert.fail('it told of no way to look again');
    let begun = 0;
    let taken = 0;
    const waits = Promise.withResolvers<void>();
    // Pages come; blocks wait for a rate that is never granted.
    one.source.pull = async (names, lane, signal) => {
      if (begun === 0 && names.length < 32) return pull(names, lane);
      if (++begun === Math.ceil(blocks / 32)) waits.resolve();
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          taken++;
          reject(signal.reason as Error);
        });
      });
    };
    const filled = one.run({ listen: (lookAgain) => (look = lookAgain) });
    await waits.promise;
    look();
    assert.equal(taken, 0, 'all of it is missing still');
    const volume = one.west.pool.volume('db');
    one.source.pull = async () => assert.fail('everything is here');
    await volume.read(new Uint8Array(blocks * blockBytes), 0);
    look();
    assert.equal(await filled, true);
    assert.equal(taken, begun);
    assert.equal(one.progress?.fetchedBlocks, 0);
    await isWhole(one);
  });

  test('wrong chunks are not stored, and asked for again', async () => {
    const one = await scene();
    const pull = one.source.pull;
    let lies = 20;
    one.source.pull = async (names) => {
      const chunks = await pull(names, 'background');
      return chunks.map((chunk) => {
        if (lies-- <= 0) return chunk;
        return { ...chunk, bytes: new Uint8Array(chunk.bytes.length) };
      });
    };
    assert.equal(await one.run(), true);
    await isWhole(one);
  });
});
