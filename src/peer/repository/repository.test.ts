import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../../base/errors.ts';
import { createTestPool } from '../../volume/testing.ts';
import { createInlinePacker } from '../../volume/pack.ts';
import { Repository } from './repository.ts';
import { pruneRepository } from './prune.ts';
import { saveVersion } from './save.ts';
import { verifyRepository } from './verify.ts';
import {
  arriving,
  blockBytes,
  createWorld,
  drive,
  MiB,
  noise,
  saving,
  until,
  type World,
  writeDb,
} from './world.ts';

const reason = (wanted: string) => (error: unknown) => {
  assert.ok(error instanceof TransshipError, String(error));
  assert.equal(error.reason, wanted, error.message);
  return true;
};

function same(found: Uint8Array, wanted: Uint8Array): void {
  assert.ok(Buffer.from(found).equals(wanted), 'the bytes differ');
}

const stop = () => new TransshipError('Stopping', 'the process died');

/** The process dies at the `n`th call that changes something, done or not. */
function dieAt({ store }: World, n: number, isDone: boolean): () => boolean {
  let changes = 0;
  let died = false;
  store.fault = (call) => {
    if (died) return stop();
    if (!/^(put|delete) /.test(call) || ++changes < n) return undefined;
    died = true;
    return isDone ? 'lost' : stop();
  };
  return () => {
    store.fault = () => undefined;
    return died;
  };
}

const verified = async (world: World, deep = true) => {
  const options = { deep, packer: createInlinePacker(), onProgress: () => undefined };
  const { signal } = new AbortController();
  return verifyRepository(await world.open(), { ...options, signal });
};

const pruned = async (world: World) => {
  const { signal } = new AbortController();
  const options = { holder: 'east', signal, onProgress: () => undefined };
  return drive(world.clock, pruneRepository(await world.open(), options));
};

suite('a repository', () => {
  test('a volume is saved and opened, and the next time only what changed is sent', async () => {
    const world = await createWorld();
    const data = await writeDb(world, 6);
    const first = await world.save('one');
    assert.ok(first.addedBytes > 6 * MiB && first.addedBytes < 6.2 * MiB, `${first.addedBytes}`);
    same(await world.fetch('one'), data);
    const change = new Uint8Array(blockBytes).fill(9);
    await world.east.pool.volume('db').write(change, 2 * MiB);
    data.set(change, 2 * MiB);
    const second = await world.save('two');
    assert.ok(second.addedBytes < 40_000, `${second.addedBytes} bytes for one block`);
    same(await world.fetch('two'), data);
    assert.equal((await world.open()).ports.store, world.store);
    // Nobody who sees the place sees what is in it.
    for (const { bytes } of world.store.objects.values()) {
      assert.ok(!Buffer.from(bytes).includes(Buffer.from(data.subarray(0, 32))));
      assert.ok(!Buffer.from(bytes).includes(Buffer.from('"volume"')));
    }
  });

  test('a version that is there is not saved again, and locks are given back', async () => {
    const world = await createWorld();
    await writeDb(world, 1);
    await world.save('one');
    const calls = world.store.calls.length;
    await world.save('one');
    assert.deepEqual(
      world.store.calls.slice(calls).filter((call) => !call.startsWith('get')),
      [],
    );
    assert.deepEqual(world.store.names('locks/'), []);
    assert.deepEqual(world.east.pool.leases(), []);
  });

  test('another password is refused before anything is read', async () => {
    const world = await createWorld();
    await writeDb(world, 1);
    await world.save('one');
    await assert.rejects(
      Repository.open(world.ports, 'wrong', { create: true }),
      reason('Unauthorized'),
    );
    world.store.objects.delete('config');
    await assert.rejects(world.open(), reason('NotFound'));
  });

  test('a save that dies at any call leaves nothing that looks whole and is not', async () => {
    const key = await createWorld().then((world) => world.open(true));
    for (const isDone of [false, true]) {
      let isOver = false;
      for (let n = 1; !isOver; n++) {
        const world = await createWorld(key);
        const data = await writeDb(world, 1, 2);
        await world.open(true);
        const before = dieAt(world, n, isDone);
        const died = await world.save('one').then(
          () => false,
          () => true,
        );
        isOver = !before() && !died;
        const report = await verified(world);
        assert.deepEqual(
          report.versions.filter(({ badChunks }) => badChunks > 0),
          [],
        );
        await world.save('one');
        same(await world.fetch('one'), data);
      }
    }
  });

  test('what a killed save has sent is not sent again', async () => {
    const world = await createWorld();
    const data = await writeDb(world, 40);
    world.store.fault = (call) => (call.startsWith('put indexes/') ? stop() : undefined);
    await assert.rejects(world.save('one'));
    world.store.fault = () => undefined;
    assert.ok(world.store.names('packs/').length >= 3);
    const saved = await world.save('one');
    assert.ok(saved.addedBytes < MiB, `${saved.addedBytes} bytes again`);
    same(await world.fetch('one'), data);
  });

  test('two agents save at the same time', async () => {
    const world = await createWorld();
    const data = await writeDb(world, 4);
    await world.open(true);
    const saves = ['one', 'two'].map(async (name) => {
      return saveVersion(await world.open(), saving(world.east.pool, name));
    });
    await drive(world.clock, Promise.all(saves));
    same(await world.fetch('one'), data);
    same(await world.fetch('two'), data);
    assert.deepEqual(
      (await verified(world)).versions.map(({ badChunks }) => badChunks),
      [0, 0],
    );
  });

  test('a damaged chunk is a miss, is told, and is mended by the next save', async () => {
    const world = await createWorld();
    const data = await writeDb(world, 3);
    await world.save('one');
    const [pack] = world.store
      .names('packs/')
      .toSorted(
        (a, b) =>
          world.store.objects.get(b)!.bytes.length - world.store.objects.get(a)!.bytes.length,
      );
    world.store.damage(pack!);
    assert.equal((await verified(world, false)).versions[0]?.badChunks, 0);
    assert.equal((await verified(world)).versions[0]?.badChunks, 1);
    const there = await arriving(world, (await createTestPool()).pool);
    await drive(world.clock, there.start('one'));
    await until(world.clock, () => there.peer.status().lastError?.reason === 'DataMissing');
    assert.equal(there.phase(), 'Accessible');
    // Without the pack, what was in it is known to be missing.
    world.store.objects.delete(pack!);
    assert.equal((await verified(world)).missingPacks.length, 1);
    await world.save('two');
    await until(world.clock, () => there.phase() === 'Available');
    const found = new Uint8Array(data.length);
    await there.pool.volume('db-one').read(found, 0);
    same(found, data);
    await there.close();
    assert.deepEqual(
      (await verified(world)).versions.map(({ badChunks }) => badChunks),
      [0, 0],
    );
  });

  test('reads are served at once, and a place that is away is waited for', async () => {
    const world = await createWorld();
    const data = await writeDb(world, 4);
    await world.save('one');
    const there = await arriving(world, (await createTestPool()).pool);
    const away = new TransshipError('RepositoryUnreachable', 'away');
    world.store.fault = (call) => (call.startsWith('get packs/') ? away : undefined);
    await drive(world.clock, there.start('one'));
    assert.equal(there.phase(), 'Accessible');
    await until(world.clock, () => !there.peer.status().connected);
    world.store.fault = () => undefined;
    const found = new Uint8Array(blockBytes);
    await drive(world.clock, Promise.resolve(there.pool.volume('db-one').read(found, 3 * MiB)));
    same(found, data.subarray(3 * MiB, 3 * MiB + blockBytes));
    await until(world.clock, () => there.phase() === 'Available');
    assert.equal(there.peer.status().connected, true);
    await until(world.clock, () => world.store.names('locks/').length === 0);
    await there.close();
  });

  test('a forgotten version gives its space back, and readers find their way', async () => {
    const world = await createWorld();
    const data = await writeDb(world, 8);
    await world.save('one');
    const there = await arriving(world, (await createTestPool()).pool);
    const volume = world.east.pool.volume('db');
    const other = noise(99, 5 * MiB);
    await volume.write(other, 0);
    const changed = new Uint8Array(data);
    changed.set(other);
    await world.save('two');
    // Opened before, read after.
    const away = new TransshipError('RepositoryUnreachable', 'away');
    world.store.fault = (call) => (call.startsWith('get packs/') ? away : undefined);
    await drive(world.clock, there.start('two'));
    await until(world.clock, () => !there.peer.status().connected);
    world.store.fault = () => undefined;
    const repository = await world.open();
    await repository.forget('db', 'one');
    await assert.rejects(repository.forget('db', 'one'), reason('NotFound'));
    const report = await pruned(world);
    assert.ok(report.freedBytes > 4.9 * MiB, `${report.freedBytes} bytes freed`);
    assert.equal(report.versions, 1);
    await until(world.clock, () => there.phase() === 'Available');
    const found = new Uint8Array(changed.length);
    await there.pool.volume('db-two').read(found, 0);
    same(found, changed);
    await there.close();
    same(await world.fetch('two'), changed);
    assert.equal((await pruned(world)).freedBytes, 0);
    await assert.rejects(world.fetch('one'), reason('NotFound'));
  });

  test('what is being read elsewhere stays, forgotten or not', async () => {
    const world = await createWorld();
    const data = await writeDb(world, 2);
    await world.save('one');
    const there = await arriving(world, (await createTestPool()).pool);
    const away = new TransshipError('RepositoryUnreachable', 'away');
    world.store.fault = (call) => (call.startsWith('get packs/') ? away : undefined);
    await drive(world.clock, there.start('one'));
    world.store.fault = () => undefined;
    await (await world.open()).forget('db', 'one');
    await pruned(world);
    await until(world.clock, () => there.phase() === 'Available');
    const found = new Uint8Array(data.length);
    await there.pool.volume('db-one').read(found, 0);
    same(found, data);
    await until(world.clock, () => world.store.names('locks/').length === 0);
    await there.close();
    assert.ok((await pruned(world)).freedBytes > 2 * MiB);
    assert.deepEqual(world.store.names('packs/'), []);
  });

  test('a prune that dies at any of its calls has lost nothing', async () => {
    const key = await createWorld().then((world) => world.open(true));
    for (const isDone of [false, true]) {
      let isOver = false;
      for (let n = 1; !isOver; n++) {
        const world = await createWorld(key);
        // Small blocks, so that there are pages under its root.
        await writeDb(world, 2, 2, 4096);
        await world.save('one');
        const volume = world.east.pool.volume('db');
        // Its root is in one index, one of the two pages under it in the one before.
        await volume.write(noise(99, MiB / 2), 0);
        await world.save('two');
        const data = await contentOf(world);
        await volume.write(noise(98, 2 * MiB), 0);
        await world.save('three');
        for (const name of ['one', 'two']) await (await world.open()).forget('db', name);
        const after = dieAt(world, n, isDone);
        const died = await pruned(world).then(
          () => false,
          () => true,
        );
        isOver = !after() && !died;
        assert.deepEqual(await badChunksOf(world), [0]);
        // That content again: a page that is still listed must not be taken for whole.
        await volume.write(data, 0);
        await world.clock.advance(31 * 60_000);
        await world.save('four');
        assert.deepEqual(await badChunksOf(world), [0, 0]);
        if (!isDone) continue;
        await world.clock.advance(31 * 60_000);
        await pruned(world);
        assert.deepEqual(await badChunksOf(world), [0, 0]);
      }
    }
  });

  test('who saves keeps others from giving space back, and the reverse', async () => {
    const world = await createWorld();
    await writeDb(world, 2);
    await world.save('one');
    const gate = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const { pool } = world.east;
    const slow = {
      ...saving(pool, 'two'),
      pool: {
        grantLease: async (request: Parameters<typeof pool.grantLease>[0]) => {
          reached.resolve();
          await gate.promise;
          return pool.grantLease(request);
        },
        renewLease: pool.renewLease.bind(pool),
        releaseLease: pool.releaseLease.bind(pool),
        readPage: pool.readPage.bind(pool),
        readStored: pool.readStored.bind(pool),
        readPath: pool.readPath.bind(pool),
      },
    };
    const saved = saveVersion(await world.open(), slow);
    await reached.promise;
    await assert.rejects(pruned(world), reason('InUse'));
    // Renewed all the time, however long it takes.
    await world.clock.advance(3 * 3600_000);
    await assert.rejects(pruned(world), reason('InUse'));
    gate.resolve();
    await drive(world.clock, saved);
    await pruned(world);
    assert.deepEqual(
      (await verified(world)).versions.map(({ badChunks }) => badChunks),
      [0, 0],
    );
  });

  test('a save that was asleep for so long that others went on fails', async () => {
    const world = await createWorld();
    await writeDb(world, 2);
    await world.save('one');
    const volume = world.east.pool.volume('db');
    await volume.write(noise(99, MiB), 0);
    let isAsleep = false;
    world.store.fault = (call) => {
      if (call.startsWith('put versions/') && !isAsleep) {
        isAsleep = true;
        // What a prune does to a stale lock, and to packs that nothing listed.
        for (const name of world.store.names('locks/')) world.store.objects.delete(name);
      }
      return undefined;
    };
    await assert.rejects(world.save('two'), reason('Conflict'));
    assert.deepEqual(
      (await verified(world)).versions.map(({ version }) => version.name),
      ['one'],
    );
  });
});

async function contentOf({ east }: World): Promise<Uint8Array> {
  const volume = east.pool.volume('db');
  const data = new Uint8Array(volume.sizeBytes);
  await volume.read(data, 0);
  return data;
}

async function badChunksOf(world: World): Promise<readonly number[]> {
  return (await verified(world)).versions.map(({ badChunks }) => badChunks);
}
