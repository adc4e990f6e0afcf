import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { FingerprintTable } from './fingerprints.ts';
import { IntervalSet } from './intervals.ts';
import { Layer, SectorTable } from './layer.ts';
import { nameKey } from './name.ts';
import { nameOf } from './pack.ts';

const names = Array.from({ length: 200 }, (_, i) => nameOf(Uint8Array.of(i)));
const change = fc.record({
  which: fc.nat(199),
  value: fc.integer({ min: 1, max: 1e6 }),
  add: fc.boolean(),
});

suite('fingerprint table', () => {
  test('is a map from names to values, whatever is added and removed', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 400 }), (changes) => {
        const table = new FingerprintTable(8);
        const model = new Map<string, number>();
        for (const { which, value, add } of changes) {
          const name = names[which]!;
          if (add) {
            table.set(name, value, value + 1);
            model.set(nameKey(name), value);
          } else {
            assert.equal(table.remove(name), model.delete(nameKey(name)));
          }
        }
        assert.equal(table.size, model.size);
        for (const name of names) {
          const slot = table.find(name);
          const value = model.get(nameKey(name));
          assert.equal(slot >= 0, value !== undefined);
          if (value === undefined) continue;
          assert.equal(table.first(slot), value);
          assert.equal(table.second(slot), value + 1);
        }
      }),
    );
  });

  test('marks move with their slots', () => {
    const table = new FingerprintTable(4);
    names.forEach((name, i) => table.set(name, i + 1, 0));
    names.forEach((name, i) => table.setMark(table.find(name), i % 3));
    for (const name of names.slice(0, 100)) table.remove(name);
    for (let i = 100; i < 200; i++) assert.equal(table.mark(table.find(names[i]!)), i % 3);
  });

  test('needs no more than 50 bytes a name, growing included', () => {
    const table = new FingerprintTable();
    for (let i = 0; i < 50_000; i++) table.set(nameOf(Buffer.from(String(i))), 1, 1);
    assert.ok(table.memoryBytes / table.size <= 50, `${table.memoryBytes / table.size}`);
  });
});

suite('interval set', () => {
  test('holds what a set of numbers would', () => {
    const step = fc.record({ first: fc.nat(100), count: fc.nat(20), add: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const intervals = new IntervalSet();
        const model = new Set<number>();
        for (const { first, count, add } of steps) {
          if (add) intervals.add(first, count);
          else intervals.remove(first, count);
          for (let i = first; i < first + count; i++) {
            if (add) model.add(i);
            else model.delete(i);
          }
        }
        for (let i = 0; i < 125; i++) assert.equal(intervals.has(i), model.has(i), `at ${i}`);
        const listed = [...intervals.ranges()].flatMap(({ first, count }) =>
          Array.from({ length: count }, (_, i) => first + i),
        );
        assert.deepEqual(
          listed,
          [...model].sort((a, b) => a - b),
        );
        const ranges = [...intervals.ranges()];
        ranges.forEach((range, i) => {
          const next = ranges[i + 1];
          assert.ok(next === undefined || range.first + range.count < next.first, 'merged');
        });
      }),
    );
  });

  test('says where the answer changes', () => {
    const intervals = new IntervalSet();
    intervals.add(10, 5);
    assert.equal(intervals.boundAfter(3), 10);
    assert.equal(intervals.boundAfter(12), 15);
    assert.equal(intervals.boundAfter(15), Number.POSITIVE_INFINITY);
  });
});

suite('sector table', () => {
  test('is a map also for sectors beyond 32 bits', () => {
    const sector = fc.oneof(fc.nat(50), fc.integer({ min: 2 ** 32 - 3, max: 2 ** 33 }));
    const step = fc.record({ sector, value: fc.nat(1000), add: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const table = new SectorTable();
        const model = new Map<number, number>();
        for (const { sector: at, value, add } of steps) {
          if (add) {
            table.set(at, 1, value, value ^ 7);
            model.set(at, value);
          } else {
            table.remove(at);
            model.delete(at);
          }
        }
        assert.equal(table.size, model.size);
        assert.deepEqual(new Set(table.sectors()), new Set(model.keys()));
        for (const [at, value] of model) {
          const slot = table.find(at);
          assert.equal(table.position(slot), value);
          assert.equal(table.checksum(slot), value ^ 7);
        }
      }),
    );
  });

  test('forgets ranges by either walk', () => {
    for (const count of [3, 5000]) {
      const table = new SectorTable();
      for (let i = 0; i < 64; i++) table.set(i * 10, 1, 1, 0);
      table.removeRange(100, count);
      for (let i = 0; i < 64; i++) {
        const gone = i * 10 >= 100 && i * 10 < 100 + count;
        assert.equal(table.find(i * 10) < 0, gone);
      }
    }
  });
});

suite('layer', () => {
  test('zeroed blocks hide earlier sectors, later sectors lie over them', () => {
    const layer = new Layer(1, 16);
    layer.sectors.set(5, 1, 9, 0);
    layer.zeroBlocks(0, 2);
    assert.equal(layer.sectors.find(5), -1);
    layer.sectors.set(17, 1, 9, 0);
    assert.ok(layer.sectors.find(17) >= 0);
    assert.ok(layer.zeroes.has(1));
    assert.deepEqual(layer.blocks(), [1]);
  });
});
