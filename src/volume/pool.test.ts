import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import type { Reason } from '../base/reasons.ts';
import type { VolumeApi } from './api.ts';
import { nameHex } from './name.ts';
import { createTestPool, pattern, type TestPool } from './testing.ts';

const MiB = 1024 * 1024;

function refuses(reason: Reason): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TransshipError, String(error));
    assert.equal(error.reason, reason, error.message);
    assert.ok(error.remedy.length > 10);
    return true;
  };
}

async function read(volume: VolumeApi, offset: number, bytes: number): Promise<Uint8Array> {
  const into = new Uint8Array(bytes);
  await volume.read(into, offset);
  return into;
}

async function write(volume: VolumeApi, offset: number, data: Uint8Array): Promise<void> {
  await volume.write(data, offset);
}

async function holds(volume: VolumeApi, offset: number, data: Uint8Array): Promise<void> {
  assert.deepEqual(await read(volume, offset, data.length), new Uint8Array(data));
}

/** One open pool with one volume `db` of 8 MiB. */
async function withVolume(
  options: Parameters<typeof createTestPool>[0] = {},
): Promise<TestPool & { volume: VolumeApi }> {
  const made = await createTestPool(options);
  const volume = await made.pool.createVolume({ name: 'db', sizeBytes: 8 * MiB });
  return Object.assign(made, { volume });
}

suite('volumes of a pool', () => {
  test('names, sizes and block sizes are checked, and a refusal changes nothing', async () => {
    const { pool } = await withVolume();
    const create =
      (name: string, sizeBytes: number, blockBytes = 65536) =>
      () =>
        pool.createVolume({ name, sizeBytes, blockBytes });
    await assert.rejects(create('db', 8 * MiB), refuses('AlreadyExists'));
    await assert.rejects(create('Up', 8 * MiB), refuses('BadName'));
    await assert.rejects(create('../x', 8 * MiB), refuses('BadName'));
    await assert.rejects(create('small', MiB - 1), refuses('BadSize'));
    await assert.rejects(create('large', 64 * 1024 ** 4 + 1), refuses('BadSize'));
    await assert.rejects(create('odd', 8 * MiB, 5000), refuses('BadSize'));
    assert.equal(pool.volumes().length, 1);
    assert.throws(() => pool.volume('nope'), refuses('NotFound'));
  });

  test('64 TiB is as quick as 1 MiB, and both ends of it hold data', async () => {
    const { pool } = await createTestPool();
    const size = 64 * 1024 ** 4;
    const volume = await pool.createVolume({ name: 'huge', sizeBytes: size });
    await write(volume, size - 5000, pattern(1, 5000));
    await write(volume, 12345, pattern(2, 70_000));
    const { allocatedBlocks } = await volume.seal();
    assert.equal(allocatedBlocks, 3);
    await holds(volume, size - 5000, pattern(1, 5000));
    await holds(volume, 12345, pattern(2, 70_000));
    await volume.writeZeroes(0, size);
    assert.equal((await volume.seal()).allocatedBlocks, 0);
    const extents = await volume.extents(0, size);
    assert.deepEqual(extents, [{ lengthBytes: size, hole: true }]);
  });

  test('equal content has equal roots, however it came there', async () => {
    const { pool, volume } = await withVolume();
    const other = await pool.createVolume({ name: 'other', sizeBytes: 8 * MiB });
    const data = pattern(1, 300_000);
    await write(volume, 0, data);
    for (let at = 299_000; at >= 0; at -= 1000) {
      await write(other, at, data.subarray(at, at + 1000));
    }
    await write(other, 5 * MiB, pattern(9, 9000));
    await other.writeZeroes(5 * MiB, 9000);
    assert.equal(nameHex((await volume.seal()).root), nameHex((await other.seal()).root));
  });

  test('a crash after a flush loses nothing, also unaligned and over zeroes', async () => {
    const made = await withVolume();
    await write(made.volume, 100, pattern(1, 200_000));
    await made.volume.writeZeroes(50_000, 60_001);
    await write(made.volume, 60_000, pattern(2, 777));
    await made.volume.flush();
    const expected = await read(made.volume, 0, 300_000);
    const volume = (await made.reopen()).volume('db');
    await holds(volume, 0, expected);
    await volume.seal();
    await holds((await made.reopen()).volume('db'), 0, expected);
  });

  test('extents tell data from holes before and after settling', async () => {
    const { volume } = await withVolume();
    await write(volume, 2 * MiB, pattern(1, 65536));
    const expected = [
      { lengthBytes: 2 * MiB, hole: true },
      { lengthBytes: 65536, hole: false },
      { lengthBytes: 6 * MiB - 65536, hole: true },
    ];
    assert.deepEqual(await volume.extents(0, 8 * MiB), expected);
    await volume.seal();
    assert.deepEqual(await volume.extents(0, 8 * MiB), expected);
    await volume.writeZeroes(2 * MiB, 65536);
    assert.deepEqual(await volume.extents(0, 8 * MiB), [{ lengthBytes: 8 * MiB, hole: true }]);
  });

  test('resize grows at once, shrinks only when forced, and never over an open door', async () => {
    const { volume } = await withVolume();
    await write(volume, 8 * MiB - 4096, pattern(1, 4096));
    await volume.resize(1024 ** 3);
    await holds(volume, 8 * MiB - 4096, pattern(1, 4096));
    await holds(volume, 1024 ** 3 - 4096, new Uint8Array(4096));
    await assert.rejects(volume.resize(2 * MiB), refuses('BadArgument'));
    const close = volume.openDoor('nbd 1');
    await assert.rejects(volume.resize(2 * MiB, { force: true }), refuses('InUse'));
    close();
    await volume.resize(8 * MiB - 2048, { force: true });
    assert.throws(() => volume.read(new Uint8Array(1), 8 * MiB - 2048), refuses('BadArgument'));
    await volume.resize(8 * MiB);
    await holds(volume, 8 * MiB - 4096, pattern(1, 4096).fill(0, 2048));
  });

  test('reads and writes behind the end are refused', async () => {
    const { volume } = await withVolume();
    assert.throws(() => volume.read(new Uint8Array(2), 8 * MiB - 1), refuses('BadArgument'));
    assert.throws(() => volume.write(new Uint8Array(2), 8 * MiB - 1), refuses('BadArgument'));
  });
});

suite('snapshots and clones', () => {
  test('a snapshot never changes; a clone starts there and goes its own way', async () => {
    const made = await withVolume();
    await write(made.volume, 0, pattern(1, 500_000));
    await made.volume.snapshot('before');
    await assert.rejects(made.volume.snapshot('before'), refuses('AlreadyExists'));
    await write(made.volume, 1000, pattern(2, 500_000));
    const moment = { snapshot: 'before' };
    const clone = await made.pool.cloneVolume('db', moment, { name: 'copy' });
    await holds(clone, 0, pattern(1, 500_000));
    await write(clone, 0, pattern(3, 100));
    await holds(made.volume, 1000, pattern(2, 500_000));
    await made.pool.collect();
    const pool = await made.reopen();
    const again = await pool.cloneVolume('db', moment, { name: 'copy2' });
    await holds(again, 0, pattern(1, 500_000));
    await pool.volume('db').restore(moment);
    await holds(pool.volume('db'), 0, pattern(1, 500_000));
    await pool.volume('db').deleteSnapshot('before');
    await assert.rejects(pool.volume('db').deleteSnapshot('before'), refuses('NotFound'));
  });

  test('the order of use is saved with a snapshot that asks for it', async () => {
    const { volume } = await withVolume();
    await read(volume, 5 * MiB, 10);
    await read(volume, 2 * MiB, 10);
    await volume.snapshot('traced', { trace: true });
    await read(volume, 7 * MiB, 10);
    assert.deepEqual(volume.recentUse('traced'), [
      { first: 32, count: 16 },
      { first: 80, count: 16 },
    ]);
    assert.deepEqual(volume.recentUse()[0], { first: 112, count: 16 });
  });
});

suite('history', () => {
  const policy = { secondsMs: 60_000, minutesMs: 600_000, hoursMs: 0, daysMs: 0 };

  test('every second inside the policy can be cloned, also after a crash', async () => {
    const made = await withVolume();
    await made.volume.setPolicy(policy);
    const moments: number[] = [];
    for (let second = 0; second < 10; second++) {
      await write(made.volume, 0, pattern(second, 9000));
      await write(made.volume, second * 100_000, pattern(second, 100));
      await made.volume.flush();
      await made.clock.advance(1000);
      moments.push(made.clock.wallMs());
      await made.clock.advance(1000);
    }
    const pool = await made.reopen();
    for (const [second, atMs] of moments.entries()) {
      const clone = await pool.cloneVolume('db', { atMs }, { name: `at-${second}` });
      const expected = pattern(second, 9000);
      if (second === 0) expected.set(pattern(0, 100), 0);
      await holds(clone, 0, expected);
      await holds(clone, 900_000, second === 9 ? pattern(9, 100) : new Uint8Array(100));
    }
  });

  test('what the policy no longer keeps goes, the rest stays exact', async () => {
    const made = await withVolume();
    await made.volume.setPolicy(policy);
    const at = new Map<number, number>();
    for (let i = 0; i < 150; i++) {
      await write(made.volume, 0, pattern(i, 5000));
      await made.clock.advance(2000);
      at.set(i, made.clock.wallMs());
    }
    await made.clock.advance(120_000);
    const info = made.volume.history();
    assert.ok(info.points < 40, `${info.points} points are left of 150`);
    const newest = at.get(149)!;
    const clone = await made.pool.cloneVolume('db', { atMs: newest }, { name: 'newest' });
    await holds(clone, 0, pattern(149, 5000));
    await made.pool.collect();
    const oldest = info.oldestMs!;
    const older = await made.pool.cloneVolume('db', { atMs: oldest }, { name: 'oldest' });
    const which = [...at].findLast(([, ms]) => ms <= oldest + 2000)![0];
    const found = await read(older, 0, 5000);
    const candidates = [which - 1, which, which + 1].map((i) => Buffer.from(pattern(i, 5000)));
    assert.ok(
      candidates.some((one) => one.equals(found)),
      `content of about ${which}`,
    );
    await assert.rejects(made.volume.versionAt({ atMs: oldest - 1 }), refuses('NotFound'));
  });

  test('an absurd policy is refused, and none means no history', async () => {
    const { volume } = await withVolume();
    const absurd = { ...policy, secondsMs: 48 * 3600_000 };
    await assert.rejects(async () => volume.setPolicy(absurd), refuses('BadPolicy'));
    await assert.rejects(volume.versionAt({ atMs: 1 }), refuses('NotFound'));
  });

  test('restore goes back and can be undone; a clock that jumps back harms nothing', async () => {
    const { volume, clock } = await withVolume();
    await volume.setPolicy(policy);
    await write(volume, 0, pattern(1, 5000));
    await clock.advance(2000);
    const first = clock.wallMs();
    await write(volume, 0, pattern(2, 5000));
    await clock.advance(2000);
    const second = clock.wallMs();
    await clock.advance(2000);
    await volume.restore({ atMs: first });
    await holds(volume, 0, pattern(1, 5000));
    clock.jump(-3600_000);
    await write(volume, 4096, pattern(3, 5000));
    await clock.advance(3000);
    await volume.restore({ atMs: second });
    await holds(volume, 0, pattern(2, 5000));
  });
});

suite('space', () => {
  test('a full pool is read-only before anything breaks, and back when space returns', async () => {
    const made = await withVolume({ capacityBytes: 12 * MiB, segmentBytesMax: MiB });
    const { pool, volume } = made;
    await pool.createVolume({ name: 'junk', sizeBytes: 64 * MiB });
    const junk = pool.volume('junk');
    let written = 0;
    await assert.rejects(async () => {
      for (; written < 64; written++) {
        await write(junk, written * MiB, made.random.bytes(MiB));
        await junk.flush();
        await made.clock.advance(2000);
      }
    }, refuses('ReadOnly'));
    assert.equal(pool.status().phase, 'ReadOnly');
    assert.throws(() => volume.write(pattern(1, 4096), 0), refuses('ReadOnly'));
    await assert.rejects(pool.createVolume({ name: 'x', sizeBytes: MiB }), refuses('ReadOnly'));
    await holds(volume, 0, new Uint8Array(4096));
    await pool.deleteVolume('junk');
    await pool.collect();
    await made.clock.advance(2000);
    assert.equal(pool.status().phase, 'Healthy');
    await write(volume, 0, pattern(1, 4096));
    await volume.seal();
    await holds(volume, 0, pattern(1, 4096));
  });

  test('collection gives back what nobody holds, and only that', async () => {
    const { pool, volume, random, clock } = await withVolume({ segmentBytesMax: MiB });
    await write(volume, 0, random.bytes(4 * MiB));
    await volume.snapshot('kept');
    const kept = await read(volume, 0, 4 * MiB);
    await write(volume, 0, random.bytes(4 * MiB));
    await volume.seal();
    const full = pool.status().storedBytes;
    assert.equal((await pool.collect()).bytesFreed, 0);
    await volume.restore({ snapshot: 'kept' });
    clock.jump(20 * 60_000);
    const { bytesFreed } = await pool.collect();
    assert.ok(bytesFreed > 3 * MiB, `${bytesFreed} freed`);
    assert.ok(pool.status().storedBytes < full);
    await holds(volume, 0, kept);
  });
});

suite('leases', () => {
  test('a leased version outlives its volume, until the lease ends', async () => {
    const { pool, volume, random, clock } = await withVolume({ segmentBytesMax: MiB });
    const data = random.bytes(3 * MiB);
    await write(volume, 0, data);
    const lease = { volume: 'db', holder: 'west/db', lifeMs: 3600_000 };
    const { leaseId, version } = await pool.grantLease(lease);
    await assert.rejects(pool.deleteVolume('db'), refuses('Leased'));
    await pool.deleteVolume('db', { force: true });
    // Versions handed out are pinned for some minutes.
    clock.jump(20 * 60_000);
    await pool.collect();
    const { root, sizeBytes, blockBytes } = version;
    const request = { root, sizeBytes, blockBytes, firstBlock: 0, blockCount: 48, skipLevels: 0 };
    assert.equal((await pool.readPath(request)).length, 49);
    await pool.renewLease(leaseId, 3600_000);
    await pool.releaseLease(leaseId);
    await pool.releaseLease(leaseId);
    await assert.rejects(pool.renewLease(leaseId, 1), refuses('NotFound'));
    await pool.collect();
    assert.equal((await pool.readPath(request)).length, 0);
  });

  test('a lease has the name that its taker chose, and no two have one', async () => {
    const { pool } = await withVolume({});
    const leaseId = '0123456789abcdef0123456789abcdef';
    const lease = { volume: 'db', holder: 'west/db', lifeMs: 3600_000, leaseId };
    const first = await pool.grantLease(lease);
    assert.equal(first.leaseId, leaseId);
    assert.deepEqual(await pool.grantLease(lease), first);
    await assert.rejects(pool.grantLease({ ...lease, holder: 'north/db' }), refuses('Conflict'));
    await pool.releaseLease(leaseId);
    await pool.deleteVolume('db');
  });
});

test('a volume that is deleted while a lease on it is made has none', async () => {
  const { pool } = await withVolume({});
  const asked = pool.grantLease({ volume: 'db', holder: 'west/db', lifeMs: 3600_000 });
  const refused = assert.rejects(asked, refuses('NotFound'));
  await pool.deleteVolume('db');
  await refused;
  assert.deepEqual(pool.leases(), []);
});

suite('index snapshot', () => {
  test('a clean close makes the next opening read no trailer, and is used only once', async () => {
    const made = await withVolume({ segmentBytesMax: MiB });
    const data = made.random.bytes(5 * MiB);
    await write(made.volume, 0, data);
    await made.pool.close();
    const { chunks, uniqueBytes } = made.pool.status();
    assert.ok(made.disk.exists('index.snapshot'));
    const pool = await made.reopen();
    assert.ok(!made.disk.exists('index.snapshot'));
    assert.deepEqual([pool.status().chunks, pool.status().uniqueBytes], [chunks, uniqueBytes]);
    await holds(pool.volume('db'), 0, data);
    await pool.collect();
    await holds(pool.volume('db'), 0, data);
    await pool.close();
    const bytes = made.disk.bytes('index.snapshot');
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await holds((await made.reopen()).volume('db'), 0, data);
  });
});

suite('damage', () => {
  function damage(made: TestPool): void {
    const path = made.disk.paths().find((one) => one.startsWith('segments/'))!;
    const bytes = made.disk.bytes(path);
    const at = bytes.length >> 1;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
  }

  test('a damaged chunk is an error for its reads only, and scrub names the volume', async () => {
    const made = await withVolume({ cacheBytes: 1 });
    const data = made.random.bytes(2 * MiB);
    await write(made.volume, 0, data);
    await made.volume.seal();
    damage(made);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 32 }, (_, i) => read(made.volume, i * 65536, 65536)),
    );
    const bad = outcomes.filter((one) => one.status === 'rejected');
    assert.equal(bad.length, 1);
    assert.ok(refuses('DataCorrupt')(bad[0]?.reason));
    assert.equal(made.pool.status().phase, 'Healthy');
  });

  test('scrub finds damage and heals it from whoever has the chunk', async () => {
    const other = await createTestPool();
    const heal = (names: readonly Uint8Array[]) => other.pool.readStored(names);
    const made = await withVolume({ heal });
    const copy = await other.pool.createVolume({ name: 'db', sizeBytes: 8 * MiB });
    const data = made.random.bytes(2 * MiB);
    await write(made.volume, 0, data);
    await made.volume.seal();
    damage(made);
    const first = await made.pool.scrub();
    assert.deepEqual([first.corrupt, first.repaired], [1, 0]);
    assert.deepEqual(first.affectedVolumes, ['db']);
    await write(copy, 0, data);
    await copy.seal();
    await holds(made.volume, 0, data);
    assert.equal((await made.pool.scrub()).corrupt, 0);
  });

  test('a failed sync stops the pool; opened again it has all that was acknowledged', async () => {
    for (const prefix of ['journal/', 'segments/']) {
      const made = await withVolume();
      await write(made.volume, 0, pattern(1, 200_000));
      await made.volume.flush();
      made.disk.failSync(prefix);
      await write(made.volume, MiB, pattern(2, 200_000));
      await assert.rejects(
        prefix === 'journal/' ? made.volume.flush() : made.volume.seal(),
        refuses('DiskFailed'),
        prefix,
      );
      assert.throws(() => made.volume.write(pattern(3, 100), 0), refuses('DiskFailed'));
      await assert.rejects(made.volume.flush(), refuses('DiskFailed'));
      assert.equal(made.pool.status().phase, 'Failed');
      const pool = await made.reopen();
      await holds(pool.volume('db'), 0, pattern(1, 200_000));
      await write(pool.volume('db'), MiB, pattern(4, 200_000));
      await pool.volume('db').flush();
      await holds((await made.reopen()).volume('db'), MiB, pattern(4, 200_000));
    }
  });

  test('a newer format and a directory that lost its identity are refused', async () => {
    const made = await withVolume();
    await made.volume.seal();
    made.disk.remove('pool.json');
    await assert.rejects(made.reopen(), refuses('PoolUnusable'));
  });
});
