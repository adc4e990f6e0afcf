import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { PoolApi, VolumeApi, VolumeOrigin } from './api.ts';
import { sectorChecksums } from './journal.ts';
import { nameHex } from './name.ts';
import type { Mark, ReplicaDocument } from './replica-types.ts';
import { createTestPool, pattern, type TestPool } from './testing.ts';
import type { ChunkSource, Version } from './types.ts';

const mib = 1024 * 1024;
const set = '5'.repeat(32);
const promised = { epoch: 1, term: 'a'.repeat(32), leader: 'east' };
const configuration = {
  epoch: 1,
  version: 1,
  voters: [{ agent: 'east', pool: 'main' }],
  learners: [],
};
const first: Omit<ReplicaDocument, 'mark' | 'phase'> = { set, promised, configuration };
const still = () => undefined;

function sectors(label: number, firstSector: number, count = 1) {
  return { firstSector, sectors: count, data: pattern(label, count * 4096) };
}

function at(sequence: number, epoch = 1): Mark {
  return { epoch, sequence };
}

async function bytes(volume: VolumeApi, firstSector: number, count = 1): Promise<Uint8Array> {
  const into = new Uint8Array(count * 4096);
  await volume.read(into, firstSector * 4096);
  return into;
}

async function holds(volume: VolumeApi, firstSector: number, label: number): Promise<void> {
  assert.deepEqual(await bytes(volume, firstSector), pattern(label, 4096));
}

async function replicated(options = {}): Promise<TestPool & { volume: VolumeApi }> {
  const made = await createTestPool(options);
  const volume = await made.pool.createVolume({ name: 'db', sizeBytes: 8 * mib });
  await volume.replica.begin(first);
  return { ...made, volume };
}

/** The other pool as the place where a rebuild fetches from. */
function sourceOf(pool: PoolApi): ChunkSource {
  return { readPath: (request) => pool.readPath(request), pull: (names) => pool.readStored(names) };
}

function originOf({ root, sizeBytes, blockBytes, allocatedBlocks }: Version): VolumeOrigin {
  const shape = { root: nameHex(root), sizeBytes, blockBytes, allocatedBlocks };
  const which = { cluster: 'east', volume: 'db', leaseId: 'l', teleport: 'db-1', thin: true };
  return { ...which, ...shape };
}

suite('a volume as a replica', () => {
  test('a crash leaves exactly the content of its mark, whatever was half written', async () => {
    const { volume, reopen, disk } = await replicated();
    volume.replica.apply([sectors(1, 0)], at(1));
    volume.replica.apply([sectors(2, 1, 600)], at(2));
    await volume.replica.flush();
    // The data of a third write reaches the disk; the frame with its mark does not.
    volume.replica.apply([sectors(3, 0, 300)], at(3));
    // Headers: the file, the first mark, one, three and a mark, two; the last mark is missing.
    const torn = disk.bytes('journal/00000001.log').slice(0, (9 + 1 + 600 + 300) * 4096);
    disk.put('journal/00000001.log', torn);
    const pool = await reopen();
    const again = pool.volume('db');
    assert.deepEqual(again.replica.mark, at(2));
    await holds(again, 0, 1);
  });

  test('what a crash left without mark never comes back under a later mark', async () => {
    const made = await replicated();
    const { volume, reopen } = made;
    volume.replica.apply([sectors(1, 0)], at(1));
    await volume.replica.flush();
    const { head } = made.pool.volume('db');
    // As a leader's write whose mark was lost: data alone.
    head.journal.append(head.number, 5, pattern(9, 4096), sectorChecksums(pattern(9, 4096)));
    await head.journal.flush();
    let again = (await reopen()).volume('db');
    assert.deepEqual(await bytes(again, 5), new Uint8Array(4096));
    again.replica.apply([sectors(2, 1)], at(2));
    await again.replica.flush();
    again = (await reopen()).volume('db');
    assert.deepEqual(again.replica.mark, at(2));
    assert.deepEqual(await bytes(again, 5), new Uint8Array(4096));
    await holds(again, 1, 2);
  });

  test('the mark of a checkpoint is that of its content, and survives its journal', async () => {
    const { volume, reopen, clock } = await replicated({ journalFileBytes: 1 * mib });
    for (let i = 1; i <= 40; i++) volume.replica.apply([sectors(i, i * 32, 16)], at(i));
    const sealing = volume.seal();
    volume.replica.apply([sectors(77, 3)], at(41));
    await sealing;
    const { mark } = volume.replica.document!;
    assert.ok(mark.sequence === 40 || mark.sequence === 41, `mark ${mark.sequence}`);
    await volume.seal();
    assert.deepEqual(volume.replica.document!.mark, at(41));
    await clock.advance(10);
    const again = (await reopen()).volume('db');
    assert.deepEqual(again.replica.mark, at(41));
    await holds(again, 3, 77);
  });

  test('a damaged journal makes a replica answer for nothing', async () => {
    const { volume, reopen, disk } = await replicated();
    for (let i = 1; i <= 5; i++) {
      volume.replica.apply([sectors(i, i)], at(i));
      await volume.replica.flush();
    }
    const journal = disk.bytes('journal/00000001.log');
    journal[2 * 4096 + 2 * 8192 + 100]! ^= 255;
    const again = (await reopen()).volume('db');
    assert.equal(again.replica.document?.phase, 'Lost');
  });

  test('a rebuild keeps the old content until it is done, and goes back to it', async () => {
    const { volume, reopen } = await replicated();
    volume.replica.apply([sectors(1, 0)], at(1));
    await volume.replica.receive(still);
    assert.equal(volume.replica.document?.fallback?.mark.sequence, 1);
    volume.replica.apply([sectors(2, 0)], at(9, 2));
    await volume.replica.flush();
    await assert.rejects(volume.seal(), { reason: 'NotAccessible' });
    const again = (await reopen()).volume('db');
    assert.equal(again.replica.document?.phase, 'Receiving');
    await again.replica.revert(still);
    assert.deepEqual(again.replica.mark, at(1));
    await holds(again, 0, 1);
    const third = (await reopen()).volume('db');
    assert.deepEqual(third.replica.mark, at(1));
    await holds(third, 0, 1);
  });

  test('what it can go back to survives a collection under another tree', async () => {
    const other = await replicated();
    other.volume.replica.apply([sectors(50, 0, 16)], at(1));
    const version = await other.volume.seal();
    const { volume, pool } = await replicated();
    for (let i = 0; i < 8; i++) volume.replica.apply([sectors(i + 1, i * 16, 16)], at(i + 1));
    await volume.replica.receive(still);
    const { policy } = volume.status();
    const to = { origin: originOf(version), policy, points: 3, snapshots: [] };
    await volume.replica.rebase(to, sourceOf(other.pool), still);
    await pool.collect();
    await volume.replica.revert(still);
    for (let i = 0; i < 8; i++) {
      assert.deepEqual(await bytes(volume, i * 16, 16), pattern(i + 1, 16 * 4096));
    }
    // And when nothing needs it any more, it goes.
    volume.replica.apply([{ firstSector: 0, sectors: 2048, data: undefined }], at(9));
    await volume.seal();
    assert.ok((await pool.collect()).chunksFreed >= 8);
  });

  test('takes over the content of another, with the writes of meanwhile on top', async () => {
    const leader = await replicated();
    for (let i = 1; i <= 20; i++) leader.volume.replica.apply([sectors(i, i * 16, 16)], at(i));
    const behind = await replicated();
    for (let i = 1; i <= 10; i++) behind.volume.replica.apply([sectors(i, i * 16, 16)], at(i));
    await behind.volume.replica.receive(still);
    behind.volume.replica.apply([sectors(99, 16)], at(21));
    const version = await leader.volume.seal();
    const { policy } = leader.volume.status();
    const to = { origin: originOf(version), policy, points: 3, snapshots: [] };
    const source = sourceOf(leader.pool);
    await behind.volume.replica.rebase(to, source, still);
    await holds(behind.volume, 16, 99);
    assert.deepEqual(await bytes(behind.volume, 16 * 20, 16), pattern(20, 16 * 4096));
    // What it had before is not fetched again, also when a collection runs meanwhile.
    const chunks = behind.pool.status().chunks;
    await behind.pool.collect();
    assert.ok(behind.pool.status().chunks >= chunks - 1);
    for (let i = 1; i <= 20; i++) await bytes(behind.volume, i * 16, 16);
    await behind.volume.replica.finish(at(21), still);
    leader.volume.replica.apply([sectors(99, 16)], at(21));
    const [a, b] = [await leader.volume.seal(), await behind.volume.seal()];
    assert.equal(nameHex(a.root), nameHex(b.root));
    const again = (await behind.reopen()).volume('db');
    assert.deepEqual(again.replica.mark, at(21));
    assert.equal(again.replica.document?.phase, 'Healthy');
  });

  test('takes live writes under a full journal and settles none into the wrong tree', async () => {
    const {
      volume,
      clock,
      pool: own,
    } = await replicated({
      journalFileBytes: mib,
      journalBytesMax: 4 * mib,
    });
    volume.replica.apply([sectors(1, 0)], at(1));
    await volume.replica.receive(still);
    for (let i = 2; i < 30; i++) {
      volume.replica.apply([sectors(i, 0, 32)], at(i));
      await clock.advance(2000);
    }
    assert.ok(own.status().journalBytes < 4 * mib, 'the journal goes on');
    await volume.replica.revert(still);
    await holds(volume, 0, 1);
  });
});
