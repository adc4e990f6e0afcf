import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../../base/errors.ts';
import type { VolumeReplica } from '../../volume/api.ts';
import { within } from '../fixture.ts';
import { createManualClock } from '../manual-clock.ts';
import { WriteOrder } from './write-order.ts';

const term = { epoch: 2, term: 'a'.repeat(32), leader: 'a' };

function batch(first: number, count = 1, joins = false) {
  const record = { firstSector: 0, sectors: 1, data: undefined };
  return { first, joins, records: Array.from({ length: count }, () => record) };
}

/** An order over a replica that only notes what it applies. */
function made() {
  const clock = createManualClock();
  const applied: number[] = [];
  const world = { fenced: false, full: undefined as Promise<void> | undefined };
  const replica = {
    document: { phase: 'Filling' },
    mark: { epoch: 0, sequence: 0 },
    admit: () => world.full,
    apply: (records: readonly unknown[], { sequence }: { sequence: number }) => {
      for (let i = records.length - 1; i >= 0; i--) applied.push(sequence - i);
    },
  } as unknown as VolumeReplica;
  const check = () => {
    if (world.fenced) throw new TransshipError('Fenced', 'another leads');
  };
  const order = new WriteOrder(clock, { check, replica: () => replica });
  return { clock, applied, world, order };
}

suite('the order of writes', () => {
  test('batches that overtook each other are applied in order, repeated ones once', async () => {
    const { order, applied, clock } = made();
    order.begin(term, 4);
    const late = [order.write(term, batch(9)), order.write(term, batch(6, 3))];
    assert.deepEqual(applied, []);
    const gap = order.write(term, batch(5));
    await within(clock, 100, Promise.resolve(gap));
    await within(clock, 100, Promise.all(late.map((one) => Promise.resolve(one))));
    await within(clock, 100, Promise.resolve(order.write(term, batch(6, 5))));
    assert.deepEqual(applied, [5, 6, 7, 8, 9, 10]);
  });

  test('a gap that nobody fills is told, and so is who waits behind it', async () => {
    const { order, clock } = made();
    order.begin(term, 0);
    const behind = Promise.resolve(order.write(term, batch(3)));
    const reader = order.reached(term, 3);
    await assert.rejects(within(clock, 20_000, behind), { reason: 'Conflict' });
    await assert.rejects(within(clock, 20_000, reader), { reason: 'Conflict' });
  });

  test('a leader that is fenced while the journal is full applies nothing', async () => {
    const { order, applied, clock, world } = made();
    order.begin(term, 0);
    const { promise, resolve } = Promise.withResolvers<void>();
    world.full = promise;
    const waiting = Promise.resolve(order.write(term, batch(1)));
    world.fenced = true;
    world.full = undefined;
    resolve();
    await assert.rejects(within(clock, 100, waiting), { reason: 'Fenced' });
    assert.deepEqual(applied, []);
  });

  test('live writes of a rebuild begin where the leader says, and nowhere else', async () => {
    const { order, applied } = made();
    assert.throws(() => order.write(term, batch(7)), { reason: 'Conflict' });
    assert.equal(order.write(term, batch(7, 2, true)), undefined);
    assert.equal(order.write(term, batch(9)), undefined);
    assert.deepEqual(applied, [7, 8, 9]);
    order.end(new TransshipError('Conflict', 'a rebuild begins'));
    assert.throws(() => order.write(term, batch(10)), { reason: 'Conflict' });
  });
});
