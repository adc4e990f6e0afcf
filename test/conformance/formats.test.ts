// A golden file per format version: what an earlier program wrote must be read for ever, and what
// this program writes today is the same to the byte. `node test/conformance/golden.ts` makes them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import {
  decodeFooter,
  decodePackHeader,
  footerBytes,
  PackOpener,
} from '../../src/peer/repository/pack.ts';
import { HistoryLog } from '../../src/volume/history-log.ts';
import { readDocument } from '../../src/volume/document.ts';
import { nameHex } from '../../src/volume/name.ts';
import { replayJournal, type ReplayEntry } from '../../src/volume/replay.ts';
import { SegmentStore } from '../../src/volume/segments.ts';
import { createMemoryDisk, pattern, quietLog } from '../../src/volume/testing.ts';
import { goldenChunks, goldenFiles, goldenKey, goldenPoolId } from './golden.ts';

function plain({ volume, kind, firstSector, sectors }: ReplayEntry): readonly number[] {
  return [volume, kind, firstSector, sectors];
}

function golden(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../golden/${name}`, import.meta.url)));
}

suite('formats, version 1', async () => {
  for (const [name, bytes] of Object.entries(await goldenFiles())) {
    test(`${name} is written today as it was`, () => {
      assert.ok(
        Buffer.from(golden(name)).equals(bytes),
        `${name} differs from what is written now`,
      );
    });
  }

  test('a segment of version 1 gives its chunks', async () => {
    const disk = createMemoryDisk();
    disk.put('segments/00000001.seg', golden('segment-1.bin'));
    const onFailure = () => assert.fail('no failure');
    const store = new SegmentStore({ disk, poolId: goldenPoolId, log: quietLog, onFailure });
    const places = new Map<string, { segment: number; place: number }>();
    store.open({ suspects: new Map(), known: new Map() }, ({ name, place }, segment) => {
      places.set(nameHex(name), { segment, place });
    });
    for (const chunk of goldenChunks()) {
      const place = places.get(nameHex(chunk.name));
      assert.ok(place !== undefined);
      const found = await store.readLater(place);
      assert.deepEqual(new Uint8Array(found!.bytes), new Uint8Array(chunk.bytes));
      assert.equal(found?.kind, chunk.kind);
    }
  });

  test('a pack of version 1 gives its chunks', () => {
    const bytes = golden('repository-1.bin');
    const { kind, salt } = decodePackHeader(goldenKey, bytes);
    assert.equal(kind, 'block');
    const opener = new PackOpener(goldenKey, salt);
    const footer = decodeFooter(bytes.subarray(-footerBytes), bytes.length);
    const end = footer.offset + footer.lengthBytes;
    const entries = opener.trailer(footer.offset, bytes.subarray(footer.offset, end), bytes.length);
    const wanted = goldenChunks().filter((chunk) => chunk.kind === 'block');
    assert.equal(entries.length, wanted.length);
    entries.forEach(({ name, offset, lengthBytes }, i) => {
      const found = opener.chunk(offset, bytes.subarray(offset, offset + lengthBytes));
      assert.equal(nameHex(name), nameHex(wanted[i]!.name));
      assert.deepEqual(new Uint8Array(found!.bytes), new Uint8Array(wanted[i]!.bytes));
    });
  });

  test('a journal of version 1 replays', () => {
    const disk = createMemoryDisk();
    disk.put('journal/00000001.log', golden('journal-1.bin'));
    const entries: ReplayEntry[] = [];
    const result = replayJournal(disk, goldenPoolId, 1, (entry) => entries.push(entry));
    assert.equal(result.damaged, 0);
    assert.deepEqual(entries.map(plain), [
      [1, 0, 0, 1],
      [2, 0, 7, 2],
      [1, 1, 100, 50],
    ]);
    const data = new Uint8Array(4096);
    result.files[0]?.file.read(data, (entries[0]?.position ?? 0) * 4096);
    assert.deepEqual(data, pattern(1, 4096));
  });

  test('a journal of version 1 with marks replays', () => {
    const disk = createMemoryDisk();
    disk.put('journal/00000001.log', golden('journal-marks-1.bin'));
    const entries: ReplayEntry[] = [];
    replayJournal(disk, goldenPoolId, 1, (entry) => entries.push(entry));
    assert.deepEqual(entries.map(plain), [
      [3, 0, 9, 1],
      [3, 2, 2 ** 40, 4_000_000_000],
      [3, 3, 2 ** 40, 4_000_000_000],
    ]);
  });

  test('a history log of version 1 gives its points', () => {
    const disk = createMemoryDisk();
    disk.put('history/a.log', golden('history-1.bin'));
    const log = new HistoryLog(disk, 'history/a.log');
    assert.deepEqual(
      log.points.map(({ atMs, count }) => [atMs, count]),
      [
        [1000, undefined],
        [2000, 2],
      ],
    );
    assert.equal(log.changesOf(log.points[1]!).size, 2);
    assert.equal(log.baseOf(log.points[0]!)?.allocatedBlocks, 5);
  });

  test('a document of version 1 is read', () => {
    const disk = createMemoryDisk();
    disk.put('volumes/a.json', golden('document-1.json'));
    assert.deepEqual(readDocument(disk, 'volumes/a.json'), { id: 'a', name: 'db' });
  });
});
