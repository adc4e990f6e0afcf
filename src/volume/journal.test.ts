import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { entryKinds, FrameBuilder, frameHeaderBytes } from './frame.ts';
import { Journal, journalPath, sectorChecksums } from './journal.ts';
import { type ReplayEntry, replayJournal } from './replay.ts';
import {
  createMemoryDisk,
  createTestRandom,
  HandClock,
  type MemoryDisk,
  pattern,
} from './testing.ts';

const poolId = Uint8Array.from({ length: 16 }, (_, i) => i);

function open(disk: MemoryDisk, fileBytes = 256 * 1024): Journal {
  return new Journal({
    disk,
    clock: new HandClock(),
    random: createTestRandom(7),
    poolId,
    fileBytes,
    onFailure: () => undefined,
  });
}

function append(journal: Journal, sector: number, data: Uint8Array): number {
  return journal.append(1, sector, data, sectorChecksums(data));
}

function replay(disk: MemoryDisk, from = 1) {
  const entries: ReplayEntry[] = [];
  const result = replayJournal(disk, poolId, from, (entry) => entries.push(entry));
  return { entries, sectors: entries.map((entry) => entry.firstSector), result };
}

/** Five flushed single-sector frames in one file. */
async function fiveFrames(disk: MemoryDisk): Promise<Journal> {
  const journal = open(disk);
  for (let i = 0; i < 5; i++) {
    append(journal, i, pattern(i, 4096));
    await journal.flush();
  }
  return journal;
}

function damageFrame(disk: MemoryDisk, index: number, offset = 100): void {
  const bytes = disk.bytes(journalPath(1));
  const at = frameHeaderBytes + index * (frameHeaderBytes + 4096) + offset;
  bytes[at] = (bytes[at] ?? 0) ^ 255;
}

suite('journal', () => {
  test('gives back what was appended, corked or not, small or large', () => {
    const journal = open(createMemoryDisk(), 8 * 1024 * 1024);
    journal.cork();
    const small = append(journal, 1, pattern(1, 4096));
    const file = journal.currentFile;
    const into = new Uint8Array(4096);
    journal.read(into, file, small);
    assert.deepEqual(into, pattern(1, 4096), 'readable before it is written');
    const large = append(journal, 2, pattern(2, 262_144));
    journal.uncork();
    journal.read(into, file, small);
    assert.deepEqual(into, pattern(1, 4096));
    const big = new Uint8Array(262_144);
    journal.read(big, journal.currentFile, large);
    assert.deepEqual(big, pattern(2, 262_144));
  });

  test('replay gives every frame in order, over several files', async () => {
    const disk = createMemoryDisk();
    const journal = open(disk);
    for (let i = 0; i < 100; i++) append(journal, i, pattern(i, 8192));
    journal.appendZero(1, 1000, 5);
    await journal.flush();
    const { entries, sectors, result } = replay(disk);
    assert.deepEqual(sectors, [...Array.from({ length: 100 }, (_, i) => i), 1000]);
    assert.equal(entries.at(-1)?.kind, entryKinds.zero);
    assert.ok(result.files.length > 2);
    assert.equal(result.damaged, 0);
  });

  test('a torn tail ends the replay, and what follows never comes back', async () => {
    const disk = createMemoryDisk();
    await fiveFrames(disk);
    damageFrame(disk, 4, frameHeaderBytes + 10);
    const first = replay(disk);
    assert.deepEqual(first.sectors, [0, 1, 2, 3]);
    assert.equal(first.result.damaged, 0);
    const journal = open(disk);
    journal.adopt(first.result);
    append(journal, 77, pattern(7, 4096));
    await journal.flush();
    assert.deepEqual(replay(disk).sectors, [0, 1, 2, 3, 77]);
  });

  test('damage to what was acknowledged is reported, the rest is applied', async () => {
    const disk = createMemoryDisk();
    await fiveFrames(disk);
    damageFrame(disk, 1);
    const { sectors, result } = replay(disk);
    assert.deepEqual(sectors, [0, 2, 3, 4]);
    assert.equal(result.damaged, 1);
  });

  test('frames that every volume has in its root need not be there', async () => {
    const disk = createMemoryDisk();
    await fiveFrames(disk);
    damageFrame(disk, 0);
    assert.equal(replay(disk, 3).result.damaged, 0);
  });

  test('data that looks like a frame is no frame, nor are frames of a recycled file', async () => {
    const disk = createMemoryDisk();
    const builder = new FrameBuilder();
    builder.add({ volume: 9, kind: 1, firstSector: 0, sectors: 1 }, new Uint32Array(0));
    const salt = new Uint8Array(12);
    const forged = builder.finish({ file: 1, sequence: 3, durable: 99, wallMs: 0, salt });
    const journal = open(disk);
    append(journal, 5, new Uint8Array(forged));
    append(journal, 6, pattern(6, 4096));
    await journal.flush();
    // The frame around the forged one is lost, so the scan looks at every sector behind it.
    damageFrame(disk, 0);
    const { entries } = replay(disk);
    assert.ok(entries.every((entry) => entry.volume === 1));
  });

  test('files go when nothing needs them, and full ones are used again', async () => {
    const disk = createMemoryDisk();
    const journal = open(disk);
    for (let i = 0; i < 200; i++) append(journal, i, pattern(i, 8192));
    await journal.flush();
    const before = journal.liveBytes;
    journal.release(journal.nextSequence);
    assert.ok(journal.liveBytes < before);
    for (let i = 0; i < 100; i++) append(journal, i, pattern(i + 1, 8192));
    await journal.flush();
    const { result, entries } = replay(disk, journal.nextSequence - 10);
    assert.equal(result.damaged, 0);
    const last = entries.at(-1);
    assert.equal(last?.sequence, journal.nextSequence - 1);
  });
});
