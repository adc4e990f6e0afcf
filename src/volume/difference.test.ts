import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { VolumeApi } from './api.ts';
import { differenceOf } from './difference.ts';
import { nameAt, nameHex } from './name.ts';
import { createTestPool, pattern } from './testing.ts';
import type { Version } from './types.ts';

const MiB = 1024 * 1024;
const sectorBytes = 4096;
const blockBytes = 8192;
const blockSectors = blockBytes / sectorBytes;
/** Trees of one (two sizes), two and three levels; some end inside of a block. */
const sizes = [1 * MiB, 1.5 * MiB + sectorBytes, 2 * MiB + 3 * sectorBytes, 600 * MiB];

type Step =
  | { readonly type: 'write'; readonly at: number; readonly sectors: number; readonly what: number }
  | { readonly type: 'zero'; readonly at: number; readonly sectors: number }
  | { readonly type: 'resize'; readonly to: number }
  | { readonly type: 'snapshot' };

/** Offsets as shares of the size, so that they fit whatever it is; the ends more often. */
const at = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.integer({ min: 0, max: 12 }).map((sectors) => sectors / 256),
  fc.constantFrom(0.001, 0.99, 1),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    type: fc.constant('write' as const),
    at,
    sectors: fc.oneof(fc.constantFrom(1, 2), fc.integer({ min: 1, max: 9 })),
    what: fc.integer({ min: 0, max: 3 }),
  }),
  fc.record({
    type: fc.constant('zero' as const),
    at,
    sectors: fc.oneof(fc.constantFrom(1, 2), fc.integer({ min: 1, max: 400 })),
  }),
  fc.record({ type: fc.constant('resize' as const), to: fc.nat(sizes.length - 1) }),
  fc.constant({ type: 'snapshot' as const }),
);

/** What was written where, by sector; nothing means zeroes. */
interface Model {
  sizeBytes: number;
  written: Map<number, number>;
}

const contents = [0, 1, 2, 3].map((what) => {
  return what === 0 ? new Uint8Array(sectorBytes) : pattern(what, sectorBytes);
});

/** The sectors of a step that are inside of the volume. */
function sectorsOf(model: Model, share: number, count: number): readonly number[] {
  const end = model.sizeBytes / sectorBytes;
  const first = Math.min(end - 1, Math.floor(share * end));
  return Array.from({ length: Math.min(count, end - first) }, (_, i) => first + i);
}

async function take(volume: VolumeApi, model: Model, one: Step): Promise<void> {
  if (one.type === 'snapshot') return;
  if (one.type === 'resize') {
    const sizeBytes = sizes[one.to] ?? 0;
    await volume.resize(sizeBytes, { force: true });
    model.sizeBytes = sizeBytes;
    for (const sector of model.written.keys()) {
      if (sector * sectorBytes >= sizeBytes) model.written.delete(sector);
    }
    return;
  }
  const sectors = sectorsOf(model, one.at, one.sectors);
  const offset = (sectors[0] ?? 0) * sectorBytes;
  if (one.type === 'zero') {
    await volume.writeZeroes(offset, sectors.length * sectorBytes);
    for (const sector of sectors) model.written.delete(sector);
    return;
  }
  const bytes = Buffer.concat(sectors.map(() => contents[one.what] ?? contents[0]!));
  await volume.write(bytes, offset);
  for (const sector of sectors) {
    if (one.what === 0) model.written.delete(sector);
    else model.written.set(sector, one.what);
  }
}

/** Blocks of `to` that are not as in `from`, by the model. */
function expected(from: Model | undefined, to: Model): readonly number[] {
  const blocks = new Set<number>();
  for (const sector of new Set([...to.written.keys(), ...(from?.written.keys() ?? [])])) {
    const isInside = sector * sectorBytes < to.sizeBytes;
    if (isInside && to.written.get(sector) !== from?.written.get(sector)) {
      blocks.add(Math.floor(sector / blockSectors));
    }
  }
  return [...blocks].sort((a, b) => a - b);
}

interface Bounds {
  readonly rangesMax: number;
  readonly pagesMax: number;
}

async function blocksOf(
  volume: VolumeApi,
  versions: { readonly from?: Version; readonly to: Version },
  bounds: Bounds & { readonly firstBlock: number },
): Promise<readonly number[]> {
  const blocks: number[] = [];
  let next: number | undefined = bounds.firstBlock;
  while (next !== undefined) {
    const request = { ...versions, ...bounds, firstBlock: next };
    const piece = await differenceOf((...page) => volume.treePage(...page), request);
    assert.ok(piece.ranges.length <= bounds.rangesMax);
    for (const [i, { first, count }] of piece.ranges.entries()) {
      assert.ok(first >= next, 'nothing twice');
      const before = piece.ranges[i - 1];
      if (before !== undefined) assert.ok(before.first + before.count < first, 'merged');
      for (let block = first; block < first + count; block++) blocks.push(block);
    }
    if (piece.nextBlock !== undefined) assert.ok(piece.nextBlock > next, 'it comes forward');
    next = piece.nextBlock;
  }
  return blocks;
}

interface Kept extends Model {
  readonly version: Version;
}

async function play(steps: readonly Step[]): Promise<{
  readonly volume: VolumeApi;
  readonly kept: readonly Kept[];
  readonly close: () => Promise<void>;
}> {
  const { pool } = await createTestPool();
  const [sizeBytes = MiB] = sizes;
  const volume = await pool.createVolume({ name: 'db', sizeBytes, blockBytes });
  const model: Model = { sizeBytes, written: new Map() };
  const kept: Kept[] = [];
  for (const one of [...steps, { type: 'snapshot' } as const]) {
    await take(volume, model, one);
    if (one.type !== 'snapshot') continue;
    const snapshot = `s${kept.length}`;
    await volume.snapshot(snapshot);
    const version = await volume.versionAt({ snapshot });
    kept.push({ ...model, written: new Map(model.written), version });
  }
  return { volume, kept, close: () => pool.close() };
}

suite('difference of versions', () => {
  test('is what a model of all writes says, in pieces of any size', async () => {
    const steps = fc.array(step, { maxLength: 24 });
    const bounds = fc.record({
      rangesMax: fc.integer({ min: 1, max: 5 }),
      pagesMax: fc.integer({ min: 0, max: 5 }),
      start: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(steps, bounds, async (all, { start, ...few }) => {
        const { volume, kept, close } = await play(all);
        for (const to of kept) {
          for (const from of [undefined, ...kept]) {
            const versions = {
              to: to.version,
              ...(from === undefined ? {} : { from: from.version }),
            };
            const wanted = expected(from, to);
            const whole = { rangesMax: 1e6, pagesMax: 1e6, firstBlock: 0 };
            assert.deepEqual(await blocksOf(volume, versions, whole), wanted);
            const firstBlock = Math.floor((start * to.sizeBytes) / blockBytes);
            const some = wanted.filter((block) => block >= firstBlock);
            assert.deepEqual(await blocksOf(volume, versions, { ...few, firstBlock }), some);
          }
        }
        await close();
      }),
      { numRuns: 150 },
    );
  });

  test('equal roots of trees of different depth are not equal content', async () => {
    const { pool } = await createTestPool();
    const make = (name: string, sizeBytes: number) =>
      pool.createVolume({ name, sizeBytes, blockBytes });
    const deep = await make('deep', 2 * MiB + blockBytes);
    await deep.write(pattern(1, blockBytes), 0);
    const to = await deep.seal();
    const leaf = nameAt(await deep.treePage(to.root, 1, 0), 0);
    // Its first block is what the other has as a page of its tree.
    const flat = await make('flat', 2 * MiB);
    await flat.write(await deep.treePage(leaf, 0, 0), 0);
    const from = await flat.seal();
    assert.equal(nameHex(from.root), nameHex(to.root));
    const bounds = { firstBlock: 0, rangesMax: 9, pagesMax: 9 };
    const both = await differenceOf((...page) => deep.treePage(...page), { from, to, ...bounds });
    assert.deepEqual(both.ranges, [{ first: 0, count: 1 }]);
    await pool.close();
  });

  test('of two versions that are alike almost everywhere reads almost nothing', async () => {
    const { pool } = await createTestPool();
    const TiB = 1024 ** 4;
    const volume = await pool.createVolume({ name: 'big', sizeBytes: 16 * TiB });
    for (let i = 0; i < 64; i++) await volume.write(pattern(i, 65536), i * 1024 ** 3);
    const from = await volume.seal();
    await volume.write(pattern(99, 65536), 8 * TiB);
    const to = await volume.seal();
    let pages = 0;
    const count: VolumeApi['treePage'] = (...page) => {
      pages++;
      return volume.treePage(...page);
    };
    const bounds = { firstBlock: 0, rangesMax: 100, pagesMax: 100 };
    const { ranges, nextBlock } = await differenceOf(count, { from, to, ...bounds });
    assert.deepEqual(ranges, [{ first: (8 * TiB) / 65536, count: 1 }]);
    assert.equal(nextBlock, undefined);
    assert.ok(pages <= 8, `${pages} pages`);
    await pool.close();
  });
});
