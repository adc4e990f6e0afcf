import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { IntervalSet } from './intervals.ts';
import { isZeroName, nameAt, nameKey, zeroName } from './name.ts';
import { isZero, nameOf } from './pack.ts';
import {
  applyChanges,
  blockCount,
  lookup,
  lookupNow,
  resizeTree,
  treeDepth,
  type TreeIo,
  type TreeRoot,
  zeroRange,
} from './tree.ts';
import type { Name } from './types.ts';

const pageBytes = 8192;

function memoryIo(): TreeIo & { readonly pages: Map<string, Uint8Array>; reads: number } {
  const pages = new Map<string, Uint8Array>();
  const io = {
    pages,
    reads: 0,
    page: async (name: Name) => {
      io.reads++;
      const page = pages.get(nameKey(name));
      assert.ok(page !== undefined, 'a page that was put');
      return page;
    },
    pageHere: async (name: Name) => pages.get(nameKey(name)),
    putPages: async (bytes: Uint8Array) => {
      const names: Name[] = [];
      for (let at = 0; at < bytes.length; at += pageBytes) {
        const page = new Uint8Array(bytes.subarray(at, at + pageBytes));
        if (isZero(page)) names.push(zeroName);
        else {
          const name = nameOf(page);
          pages.set(nameKey(name), page);
          names.push(name);
        }
      }
      return names;
    },
  };
  return io;
}

function empty(blocks: number): TreeRoot {
  return { root: zeroName, depth: treeDepth(blocks * 4096, 4096), allocatedBlocks: 0 };
}

const noZeroes = new IntervalSet();

function some(changes: readonly (readonly [number, number])[]): Map<number, Name> {
  return new Map(changes.map(([block, what]) => [block, content(what)]));
}

function content(what: number): Name {
  return what === 0 ? zeroName : nameOf(Uint8Array.of(what));
}

suite('tree', () => {
  test('depth follows from the size, up to 64 TiB', () => {
    const TiB = 1024 ** 4;
    assert.equal(treeDepth(1024 * 1024, 65536), 1);
    assert.equal(treeDepth(256 * 65536, 65536), 1);
    assert.equal(treeDepth(256 * 65536 + 1, 65536), 2);
    assert.equal(treeDepth(64 * TiB, 65536), 4);
    assert.equal(treeDepth(64 * TiB, 4096), 5);
    assert.equal(blockCount(65537, 65536), 2);
  });

  test('holds what a map of blocks would, and equal content has equal roots', async () => {
    const change = fc.tuple(fc.nat(700), fc.nat(5));
    const rounds = fc.array(fc.array(change, { maxLength: 20 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(rounds, async (all) => {
        const io = memoryIo();
        const model = new Map<number, number>();
        let tree = empty(701);
        for (const changes of all) {
          tree = await applyChanges(io, tree, some(changes), noZeroes);
          for (const [block, what] of changes) model.set(block, what);
        }
        const live = [...model].filter(([, what]) => what !== 0);
        assert.equal(tree.allocatedBlocks, live.length);
        for (const [block, what] of model) {
          assert.deepEqual(
            new Uint8Array(await lookup(io, tree, block)),
            new Uint8Array(content(what)),
          );
        }
        const again = await applyChanges(memoryIo(), empty(701), some(live), noZeroes);
        assert.equal(nameKey(again.root), nameKey(tree.root));
      }),
      { numRuns: 60 },
    );
  });

  test('a look-up without waiting says so when a page is absent', async () => {
    const io = memoryIo();
    const tree = await applyChanges(io, empty(100_000), some([[77_777, 3]]), noZeroes);
    const at = (block: number) =>
      lookupNow(tree.root, tree.depth, block, (name) => io.pages.get(nameKey(name)));
    assert.deepEqual(new Uint8Array(at(77_777)!), new Uint8Array(content(3)));
    assert.ok(isZeroName(at(5) ?? content(1)));
    assert.equal(
      lookupNow(tree.root, tree.depth, 5, () => undefined),
      undefined,
    );
  });

  test('zeroing a range reads two pages a level, whatever its length', async () => {
    const io = memoryIo();
    const blocks = 256 ** 3;
    const spread = Array.from({ length: 300 }, (_, i) => [i * 55_000 + 1, 1 + (i % 200)] as const);
    const tree = await applyChanges(io, empty(blocks), some(spread), noZeroes);
    const inside = spread.filter(([block]) => block >= 70_000 && block < 70_000 + 12_000_000);
    const before = io.reads;
    const cut = await zeroRange(io, tree, 70_000, 12_000_000);
    assert.ok(io.reads - before <= 2 * tree.depth, `${io.reads - before} pages read`);
    assert.equal(cut.allocatedBlocks, 300 - inside.length);
    const names = some(spread.filter((one) => !inside.includes(one)));
    const direct = await applyChanges(memoryIo(), empty(blocks), names, noZeroes);
    assert.equal(nameKey(cut.root), nameKey(direct.root));
  });

  test('changes lie over zeroed ranges of the same step', async () => {
    const io = memoryIo();
    const tree = await applyChanges(
      io,
      empty(5000),
      some([
        [10, 1],
        [4000, 2],
      ]),
      noZeroes,
    );
    const zeroes = new IntervalSet();
    zeroes.add(0, 5000);
    const after = await applyChanges(io, tree, some([[10, 3]]), zeroes);
    assert.equal(after.allocatedBlocks, 1);
    assert.deepEqual(new Uint8Array(await lookup(io, after, 10)), new Uint8Array(content(3)));
  });

  test('growing and shrinking back gives the same root', async () => {
    const io = memoryIo();
    const tree = await applyChanges(
      io,
      empty(200),
      some([
        [3, 1],
        [199, 2],
      ]),
      noZeroes,
    );
    const grown = await resizeTree(io, tree, 100_000, 3);
    assert.deepEqual(new Uint8Array(await lookup(io, grown, 199)), new Uint8Array(content(2)));
    const back = await resizeTree(io, grown, 200, 1);
    assert.equal(nameKey(back.root), nameKey(tree.root));
    const cut = await resizeTree(io, tree, 100, 1);
    assert.equal(cut.allocatedBlocks, 1);
    const direct = await applyChanges(memoryIo(), empty(100), some([[3, 1]]), noZeroes);
    assert.equal(nameKey(cut.root), nameKey(direct.root));
  });

  test('a page never shares memory with what it is made from', async () => {
    const io = memoryIo();
    const first = await applyChanges(io, empty(100), some([[1, 1]]), noZeroes);
    const page = await io.page(first.root, 0, 0);
    const before = new Uint8Array(page);
    await applyChanges(io, first, some([[1, 2]]), noZeroes);
    await zeroRange(io, first, 0, 50);
    assert.deepEqual(page, before);
    assert.deepEqual(nameAt(page, 1), new Uint8Array(content(1)));
  });
});
