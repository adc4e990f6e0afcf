/** Some schedules of a replicated volume, and what earlier ones found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runOrders } from './crew.ts';
import type { Order, Verdict } from './messages.ts';
import { kindOf } from './schedules.ts';

/** In a process of their own: agents that crashed leave promises behind. */
async function verdictsOf(orders: readonly Order[]): Promise<Verdict[]> {
  const waiting = [...orders];
  const verdicts: Verdict[] = [];
  const onVerdict = (verdict: Verdict) => void verdicts.push(verdict);
  await runOrders(1, () => waiting.shift(), onVerdict);
  return verdicts;
}

function seeds(count: number, mutant?: string): Order[] {
  const all = Array.from({ length: count }, (_, at) => ({ seed: 8 * at + 2, mutant }));
  for (const { seed } of all) assert.equal(kindOf(seed), 'replica');
  return all;
}

test('replicas through crashes, cut links and new leaders; each seed twice the same', async () => {
  // The two that follow found a seal whose answer is lost, and a rebuild whose target restarts.
  const found = [298, 1082].map((seed) => ({ seed, mutant: undefined }));
  const verdicts = await verdictsOf([...seeds(12), ...found, ...seeds(2)]);
  for (const { seed, violation } of verdicts) assert.equal(violation, undefined, `seed ${seed}`);
  assert.equal(verdicts[14]?.traceHash, verdicts[0]?.traceHash);
  assert.equal(verdicts[15]?.traceHash, verdicts[1]?.traceHash);
});

for (const mutant of ['old-version-sealed', 'no-fence']) {
  test(`replicas with ${mutant} are caught`, async () => {
    const verdicts = await verdictsOf(seeds(6, mutant));
    assert.ok(verdicts.some(({ violation }) => violation !== undefined));
  });
}
