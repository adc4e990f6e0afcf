import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import type { VolumeApi, VolumeOrigin } from './api.ts';
import { nameHex } from './name.ts';
import type { Pool } from './pool.ts';
import { createTestPool, type TestPool } from './testing.ts';
import type { ChunkSource, StoredChunk } from './types.ts';

const MiB = 1024 * 1024;

/** A source that is another pool in this process, with a link that can be cut. */
interface Link extends ChunkSource {
  cut: boolean;
  asks: number;
  chunks: number;
}

function linkTo(pool: () => Pool): Link {
  const through = async (ask: () => Promise<readonly StoredChunk[]>) => {
    link.asks++;
    if (link.cut) throw new TransshipError('SourceUnreachable', 'the link is cut');
    const chunks = await ask();
    link.chunks += chunks.length;
    return chunks;
  };
  const link: Link = {
    cut: false,
    asks: 0,
    chunks: 0,
    readPath: (request) => through(() => pool().readPath(request)),
    pull: (names) => through(() => pool().readStored(names)),
  };
  return link;
}

async function teleported(options: Parameters<typeof createTestPool>[0] = {}): Promise<{
  east: TestPool;
  west: TestPool;
  link: Link;
  data: Uint8Array;
  volume: VolumeApi;
  origin: VolumeOrigin;
}> {
  const east = await createTestPool();
  const west = await createTestPool({ cacheBytes: 1, ...options });
  const source = await east.pool.createVolume({ name: 'db', sizeBytes: 32 * MiB });
  const data = east.random.bytes(16 * MiB);
  await source.write(data, 0);
  const request = { volume: 'db', holder: 'west/db', lifeMs: 3600_000 };
  const { leaseId, version } = await east.pool.grantLease(request);
  const { sizeBytes, blockBytes, allocatedBlocks } = version;
  const shape = { root: nameHex(version.root), sizeBytes, blockBytes, allocatedBlocks };
  const from = { cluster: 'east', volume: 'db', leaseId, thin: true, teleport: 'db-1' };
  const origin: VolumeOrigin = { ...from, ...shape };
  const link = linkTo(() => east.pool);
  const place = { name: 'db', version, origin, source: link };
  const volume = await west.pool.createFromVersion(place);
  return { east, west, link, data, volume, origin };
}

async function read(volume: VolumeApi, offset: number, bytes: number): Promise<Uint8Array> {
  const into = new Uint8Array(bytes);
  await volume.read(into, offset);
  return into;
}

suite('a teleported volume', () => {
  test('opens without asking, and a cold read is one question', async () => {
    const { volume, link, data } = await teleported();
    assert.equal(link.asks, 0);
    assert.equal(volume.status().phase, 'Accessible');
    assert.deepEqual(await read(volume, 5 * MiB, 100), data.subarray(5 * MiB, 5 * MiB + 100));
    assert.equal(link.asks, 1);
    assert.deepEqual(await read(volume, 5 * MiB, 65536), data.subarray(5 * MiB, 5 * MiB + 65536));
    assert.equal(link.asks, 1, 'what is here is not asked for again');
  });

  test('sequential reads are fetched ahead', async () => {
    const { volume, link } = await teleported();
    for (let block = 0; block < 128; block++) await read(volume, block * 65536, 65536);
    assert.ok(link.asks < 20, `${link.asks} questions for 128 blocks`);
  });

  test('wrong chunks are never believed', async () => {
    const { volume, link } = await teleported();
    const honest = link.readPath;
    link.readPath = async (request) => {
      const chunks = await honest(request);
      return chunks.map((chunk) => ({ ...chunk, bytes: new Uint8Array(chunk.bytes.length) }));
    };
    link.pull = async () => [];
    await assert.rejects(read(volume, 0, 10), { reason: 'DataMissing' });
    link.readPath = honest;
    await read(volume, 0, 10);
  });

  test('local writes win, and are there with the link cut and after a crash', async () => {
    const { volume, link, west, origin, data } = await teleported();
    link.cut = true;
    const mine = west.random.bytes(65536);
    await volume.write(mine, 3 * MiB);
    await assert.rejects(read(volume, 0, 10), { reason: 'SourceUnreachable' });
    assert.deepEqual(await read(volume, 3 * MiB, 65536), mine);
    await volume.flush();
    const again = (await west.reopen()).volume('db');
    await again.setOrigin(origin, link);
    assert.deepEqual(await read(again, 3 * MiB, 65536), mine);
    link.cut = false;
    const expected = new Uint8Array(data.subarray(2 * MiB, 5 * MiB));
    expected.set(mine, MiB);
    assert.deepEqual(await read(again, 2 * MiB, 3 * MiB), expected);
  });

  test('a long cut does not fill the journal: what cannot settle is carried', async () => {
    const sizes = { journalBytesMax: 4 * MiB, journalFileBytes: MiB };
    const { volume, link, west, origin, data } = await teleported(sizes);
    link.cut = true;
    const expected = new Uint8Array(data);
    const sector = west.random.bytes(4096);
    for (let block = 0; block < 60; block++) {
      await volume.write(sector, block * 65536 + 8192);
      expected.set(sector, block * 65536 + 8192);
    }
    for (let round = 0; round < 24; round++) {
      const mine = west.random.bytes(MiB);
      const writing = volume.write(mine, 8 * MiB + (round % 8) * MiB);
      await west.clock.advance(1500);
      await writing;
      expected.set(mine, 8 * MiB + (round % 8) * MiB);
    }
    await volume.flush();
    assert.ok(west.pool.status().journalBytes <= 6 * MiB, 'the journal stayed small');
    const again = (await west.reopen()).volume('db');
    await again.setOrigin(origin, link);
    assert.deepEqual(await read(again, 8192, 4096), sector);
    link.cut = false;
    await again.seal();
    assert.deepEqual(await read(again, 0, 16 * MiB), expected);
  });

  test('snapshots and clones of it work before its data is here', async () => {
    const { volume, west, data, link } = await teleported();
    await volume.write(new Uint8Array(4096).fill(7), 4096);
    await volume.snapshot('now');
    const clone = await west.pool.cloneVolume('db', { snapshot: 'now' }, { name: 'copy' });
    assert.equal(clone.status().phase, 'Accessible');
    const expected = new Uint8Array(data.subarray(0, 2 * MiB)).fill(7, 4096, 8192);
    assert.deepEqual(await read(clone, 0, 2 * MiB), expected);
    assert.ok(link.chunks < 120, 'only what was read and written was fetched');
  });

  test('who waits for data of a volume that is deleted hears that it was', async () => {
    const { volume, west, link } = await teleported();
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<readonly StoredChunk[]>();
    link.readPath = () => {
      asked.resolve();
      return answer.promise;
    };
    const written = Promise.resolve(volume.write(new Uint8Array(512), 0));
    await asked.promise;
    await west.pool.deleteVolume('db');
    // As a teleport gives its source up when its volume is gone.
    answer.reject(new TransshipError('Canceled', 'fetching from east was cancelled'));
    await assert.rejects(written, (error: TransshipError) => error.reason === 'NotFound');
  });

  test('what was handed out of it before it was deleted is not taken for damage', async () => {
    for (const isLeased of [false, true]) {
      const { volume, west } = await teleported();
      // Not even the root's page was fetched yet.
      await volume.seal();
      const request = { volume: 'db', holder: 'north/db', lifeMs: 3600_000 };
      if (isLeased) await west.pool.grantLease(request);
      await west.pool.deleteVolume('db', { force: true });
      await west.pool.collect();
      const pool = await west.reopen();
      await pool.collect();
    }
  });

  test('onward: a third place reads through the second what only the first has', async () => {
    const { west, data } = await teleported();
    const north = await createTestPool();
    const request = { volume: 'db', holder: 'north/db', lifeMs: 3600_000 };
    const { version, leaseId } = await west.pool.grantLease(request);
    const { sizeBytes, blockBytes, allocatedBlocks } = version;
    const origin: VolumeOrigin = {
      cluster: 'west',
      volume: 'db',
      leaseId,
      root: nameHex(version.root),
      sizeBytes,
      blockBytes,
      allocatedBlocks,
      thin: true,
      teleport: 'x',
    };
    const source = linkTo(() => west.pool);
    const place = { name: 'db', version, origin, source };
    const volume = await north.pool.createFromVersion(place);
    assert.deepEqual(await read(volume, 7 * MiB, MiB), data.subarray(7 * MiB, 8 * MiB));
  });
});
