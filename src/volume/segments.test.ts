import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { packBlock } from './pack.ts';
import { decodeRecord, encodePlace, placePosition, placeSpan } from './record.ts';
import { type Place, SegmentStore } from './segments.ts';
import { createMemoryDisk, type MemoryDisk, pattern, quietLog } from './testing.ts';
import type { StoredChunk } from './types.ts';

const poolId = Uint8Array.from({ length: 16 }, (_, i) => i);

function chunk(label: number, rawBytes = 65536): StoredChunk {
  const { name, codec, checksum, bytes } = packBlock(pattern(label, rawBytes));
  assert.ok(bytes !== undefined);
  return { name, kind: 'block', codec, rawBytes, checksum, bytes };
}

function open(
  disk: MemoryDisk,
  suspects: ReadonlyMap<number, number> = new Map(),
): { store: SegmentStore; found: Map<string, Place> } {
  const onFailure = () => undefined;
  const options = { disk, poolId, log: quietLog, segmentBytesMax: 100_000, onFailure };
  const store = new SegmentStore(options);
  const found = new Map<string, Place>();
  store.open({ suspects, known: new Map() }, ({ name, place }, segment) => {
    found.set(Buffer.from(name).toString('hex'), { segment, place });
  });
  return { store, found };
}

function hex(one: StoredChunk): string {
  return Buffer.from(one.name).toString('hex');
}

suite('segments', () => {
  test('a place names a record of any size in one number', () => {
    for (const [position, bytes] of [
      [64, 0],
      [64, 131_072],
      [2 ** 28 - 64, 5000],
    ] as const) {
      const place = encodePlace(position, bytes);
      assert.equal(placePosition(place), position);
      assert.ok(placeSpan(place) >= 64 + bytes);
    }
  });

  test('everything is found again, sealed or not', async () => {
    const disk = createMemoryDisk();
    const { store } = open(disk);
    const chunks = Array.from({ length: 60 }, (_, i) => chunk(i));
    const places = [...store.append(chunks.slice(0, 30)), ...store.append(chunks.slice(30))];
    assert.ok(store.count > 1, 'several segments');
    await store.syncLater();
    for (const [i, place] of places.entries()) {
      assert.deepEqual((await store.readLater(place))?.bytes.length, chunks[i]?.bytes.length);
    }
    const again = open(disk);
    assert.equal(again.found.size, 60);
    for (const [i, one] of chunks.entries()) assert.deepEqual(again.found.get(hex(one)), places[i]);
  });

  test('one that is given up is sealed by the next sync, also when it was synced', async () => {
    const disk = createMemoryDisk();
    const { store } = open(disk);
    store.append([chunk(1, 4096)]);
    await store.syncLater();
    store.retireActiveIfThin(() => 4096, 0.5);
    await store.syncLater();
    assert.deepEqual(store.sealed(), [], 'most of it lives');
    store.retireActiveIfThin(() => 0, 0.5);
    await store.syncLater();
    const [sealed] = store.sealed();
    assert.equal(sealed?.number, 1);
    store.append([chunk(2, 4096)]);
    await store.syncLater();
    store.remove(1);
    assert.deepEqual([...open(disk).found.keys()], [hex(chunk(2, 4096))]);
  });

  test('a torn tail is cut off, and what comes later is found', async () => {
    const disk = createMemoryDisk();
    const first = open(disk);
    first.store.append([chunk(1, 4096), chunk(2, 4096)]);
    const path = 'segments/00000001.seg';
    disk.put(path, disk.bytes(path).slice(0, -40));
    const second = open(disk);
    assert.deepEqual([...second.found.keys()], [hex(chunk(1, 4096))]);
    second.store.append([chunk(3, 4096)]);
    const third = open(disk);
    assert.deepEqual([...third.found.keys()], [hex(chunk(1, 4096)), hex(chunk(3, 4096))]);
  });

  test('any damaged byte of a record makes it a miss, never wrong content', async () => {
    const disk = createMemoryDisk();
    const { store } = open(disk);
    const one = chunk(5, 4096);
    const [place] = store.append([one]);
    const bytes = disk.bytes('segments/00000001.seg');
    for (let at = 64; at < 64 + 64 + one.bytes.length; at++) {
      bytes[at] = (bytes[at] ?? 0) ^ 4;
      assert.equal(await store.readLater(place!), undefined, `byte ${at}`);
      bytes[at] = (bytes[at] ?? 0) ^ 4;
    }
    assert.ok((await store.readLater(place!)) !== undefined);
    assert.equal(decodeRecord(new Uint8Array(10)), undefined);
  });

  test('after a failed sync only the trusted length counts', async () => {
    const disk = createMemoryDisk();
    const { store } = open(disk);
    store.append([chunk(1, 4096)]);
    await store.syncLater();
    store.append([chunk(2, 4096)]);
    disk.failSync('segments/');
    await assert.rejects(store.syncLater());
    await assert.rejects(store.syncLater(), 'never tried again');
    assert.throws(() => store.append([chunk(3, 4096)]));
    const again = open(disk, store.trustedLengths());
    assert.deepEqual([...again.found.keys()], [hex(chunk(1, 4096))]);
  });
});
