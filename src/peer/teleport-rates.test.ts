import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRateLimit } from './rate.ts';
import { createManualClock } from './manual-clock.ts';
import { LayeredRate } from './layered-rate.ts';
import { TeleportRates } from './teleport-rates.ts';

test('the newest teleport of a cluster says how fast, until it has ended', () => {
  const rates = new TeleportRates();
  assert.equal(rates.of('east'), undefined);
  rates.set('a', 'east', 100);
  rates.set('b', 'east', 200);
  rates.set('c', 'north', 300);
  assert.equal(rates.of('east'), 200);
  rates.set('a', 'east', 150);
  assert.equal(rates.of('east'), 150, 'the newest word, not the newest teleport');
  assert.equal(rates.end('a'), 'east');
  assert.equal(rates.of('east'), 200);
  assert.equal(rates.end('b'), 'east');
  assert.equal(rates.of('east'), undefined);
  assert.equal(rates.end('b'), undefined);
  assert.equal(rates.of('north'), 300);
});

test('without a teleport that names a rate the one of the agent holds again', () => {
  const limit = createRateLimit(createManualClock());
  const layered = new LayeredRate(limit);
  layered.setUsual(1_000);
  assert.equal(limit.get(), 1_000);
  layered.setNow(50);
  layered.setUsual(2_000);
  assert.equal(limit.get(), 50);
  layered.setNow(undefined);
  assert.equal(limit.get(), 2_000);
});
