import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { EventObject } from '../api/objects.ts';
import { startCollector } from './collector.ts';
import type { OpenPool } from './ports.ts';

/** A collector over one pool, and a clock that is moved by hand. */
function stage(state: { readonly allocatedBytes: number; readonly readOnly?: boolean }) {
  let nowMs = 0;
  let due: { atMs: number; run: () => void } | undefined;
  let listener: (event: EventObject) => void = () => undefined;
  const collected: number[] = [];
  const status = { capacityBytes: 100, readOnly: false, ...state };
  const collect = async () => {
    collected.push(nowMs);
    return { chunksFreed: 0, bytesFreed: 0, segmentsRemoved: 0 };
  };
  const timer = startCollector({
    clock: {
      wallMs: () => nowMs,
      monotonicMs: () => nowMs,
      after: (ms, run) => {
        due = { atMs: nowMs + ms, run };
        return { cancel: () => (due = undefined) };
      },
    },
    log: { log: () => undefined },
    metrics: { add: () => undefined, set: () => undefined, observe: () => undefined },
    events: { onEvent: (call) => ((listener = call), () => (listener = () => undefined)) },
    pools: [{ name: 'main', api: { status: () => status, collect } } as unknown as OpenPool],
  });
  return {
    timer,
    collected,
    isWaiting: () => due !== undefined,
    happens: (reason: string) => listener({ reason } as EventObject),
    pass: async (ms: number) => {
      const endMs = nowMs + ms;
      while (due !== undefined && due.atMs <= endMs) {
        const { atMs, run } = due;
        due = undefined;
        nowMs = atMs;
        run();
        // A look awaits the collection of each pool.
        for (let turns = 0; turns < 10; turns++) await Promise.resolve();
      }
      nowMs = endMs;
    },
  };
}

suite('the collector', () => {
  test('collects once after things were deleted', async () => {
    const { pass, happens, collected } = stage({ allocatedBytes: 10 });
    await pass(60_000);
    assert.deepEqual(collected, []);
    happens('Deleted');
    happens('SnapshotDeleted');
    await pass(120_000);
    assert.deepEqual(collected, [90_000]);
  });

  test('leaves a pool alone when nothing was deleted, but for once a day', async () => {
    const { pass, happens, collected } = stage({ allocatedBytes: 10 });
    happens('Created');
    await pass(24 * 3_600_000);
    assert.equal(collected.length, 1);
  });

  for (const state of [{ allocatedBytes: 85 }, { allocatedBytes: 10, readOnly: true }]) {
    test(`goes on while space is short: ${JSON.stringify(state)}`, async () => {
      const { pass, collected } = stage(state);
      await pass(3_600_000);
      assert.equal(collected.length, 6);
    });
  }

  test('ends', async () => {
    const { timer, isWaiting } = stage({ allocatedBytes: 10 });
    timer.cancel();
    assert.equal(isWaiting(), false);
  });
});
