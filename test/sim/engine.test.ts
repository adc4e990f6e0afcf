import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runOrders } from './crew.ts';
import type { Order, Verdict } from './messages.ts';

/** In a process of their own: engines that crashed leave promises behind. */
async function verdictsOf(orders: readonly Order[]): Promise<Verdict[]> {
  const waiting = [...orders];
  const verdicts: Verdict[] = [];
  await runOrders(
    1,
    () => waiting.shift(),
    (verdict) => void verdicts.push(verdict),
  );
  return verdicts;
}

function seeds(count: number, mutant?: string): Order[] {
  return Array.from({ length: count }, (_, at) => ({ seed: at + 1, mutant }));
}

test('some schedules with nothing wrong, and each seed is a history: twice the same', async () => {
  const verdicts = await verdictsOf([...seeds(12), ...seeds(2)]);
  for (const { seed, violation } of verdicts) assert.equal(violation, undefined, `seed ${seed}`);
  assert.equal(verdicts[12]?.traceHash, verdicts[0]?.traceHash);
  assert.equal(verdicts[13]?.traceHash, verdicts[1]?.traceHash);
  assert.notEqual(verdicts[0]?.traceHash, verdicts[1]?.traceHash);
});

test('an engine that does not sync its journal is caught', async () => {
  const verdicts = await verdictsOf(seeds(12, 'journal-unsynced'));
  assert.ok(verdicts.some(({ violation }) => violation !== undefined));
});

test('a teleport that is Available before all is there is caught', async () => {
  const verdicts = await verdictsOf(seeds(12, 'available-too-early'));
  assert.ok(verdicts.some(({ violation }) => violation !== undefined));
});

test('a source that is not kept for its teleport is caught', async () => {
  const verdicts = await verdictsOf(seeds(4, 'source-let-go-early'));
  assert.ok(verdicts.some(({ violation }) => violation !== undefined));
});

test('a secret in a status is caught', async () => {
  const verdicts = await verdictsOf(seeds(2, 'secret-told'));
  assert.ok(verdicts.some(({ violation }) => violation !== undefined));
});
