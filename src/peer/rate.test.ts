import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createManualClock } from './manual-clock.ts';
import { createRateLimit } from './rate.ts';
import { createWindow } from './window.ts';

test('over any time a rate limit passes at most its rate, a burst and one taking', async () => {
  const clock = createManualClock();
  const rate = 1_000_000;
  const limit = createRateLimit(clock, rate);
  const taking = 65_536;
  const passed: { readonly atMs: number; readonly bytes: number }[] = [];
  const run = async () => {
    for (let i = 0; i < 200; i++) {
      await limit.take(taking);
      passed.push({ atMs: clock.monotonicMs(), bytes: taking });
    }
  };
  const running = [run(), run()];
  await clock.advance(10_000);
  let bytes = 0;
  for (const { bytes: more } of passed) bytes += more;
  assert.ok(bytes >= rate * 10 * 0.98, `only ${bytes} in 10 s`);
  for (const from of passed) {
    const within = passed.filter(({ atMs }) => atMs >= from.atMs && atMs < from.atMs + 1000);
    const sum = within.length * taking;
    assert.ok(sum <= rate * 1.25 + taking, `${sum} bytes in the second after ${from.atMs}`);
  }
  limit.set(undefined);
  await Promise.all(running);
});

test('a rate can change while somebody waits, and unused takings come back', async () => {
  const clock = createManualClock();
  const limit = createRateLimit(clock, 1000);
  let isThrough = false;
  await limit.take(1_000_000);
  const waiting = limit.take(1).then(() => {
    isThrough = true;
  });
  await clock.advance(60_000);
  assert.equal(isThrough, false);
  // The debt was made at the old rate; the new one forgives what it could not explain.
  limit.set(1_000_000);
  await clock.advance(1000);
  await waiting;
  const other = createRateLimit(clock, 1000);
  await other.take(2000);
  other.giveBack(2000);
  const startMs = clock.monotonicMs();
  await other.take(1);
  assert.equal(clock.monotonicMs(), startMs);
  const aborter = new AbortController();
  await other.take(100_000);
  const left = other.take(1, aborter.signal);
  aborter.abort(new Error('enough'));
  await assert.rejects(left, /enough/);
});

test('a window follows rate and round trip, in order, within its limits', async () => {
  const clock = createManualClock();
  const window = createWindow(clock, { bytesMin: 1000, bytesMax: 50_000 });
  const { signal } = new AbortController();
  // Something always fits into an empty window, or nothing large would ever go.
  await window.acquire(5000, signal);
  const order: number[] = [];
  const aborter = new AbortController();
  const first = window.acquire(900, aborter.signal).then(() => order.push(1));
  const second = window.acquire(100, signal).then(() => order.push(2));
  aborter.abort(new Error('left'));
  await assert.rejects(first, /left/);
  window.release(5000, 5000);
  await second;
  assert.deepEqual(order, [2]);
  window.release(100, 100);
  window.measured(100);
  window.measured(300);
  assert.equal(window.status().roundTripMs, 100);
  for (let i = 0; i < 10; i++) {
    await window.acquire(1000, signal);
    await clock.advance(100);
    window.release(1000, 10_000);
  }
  // 100 kB/s at 0.1 s, twice.
  assert.ok(Math.abs(window.status().windowBytes - 20_000) < 4000);
  for (let i = 0; i < 10; i++) {
    await window.acquire(1000, signal);
    await clock.advance(100);
    window.release(1000, 1_000_000);
  }
  assert.equal(window.status().windowBytes, 50_000);
  await clock.advance(60_000);
  assert.equal(window.status().windowBytes, 1000);
});
