import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fail } from '../base/errors.ts';
import { createClock } from './clock.ts';
import { createLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import { createRandom } from './random.ts';

function collect(format: 'human' | 'json') {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  return { lines, log: createLog({ format, level: 'info', write, wallMs: () => 0 }) };
}

test('a human line is one line whatever the message holds', () => {
  const { lines, log } = collect('human');
  log.log('debug', 'not shown');
  log.log('warn', 'link lost\nERROR forged', { peer: 'east', text: 'a "b"', none: undefined });
  assert.deepEqual(lines, [
    '1970-01-01T00:00:00.000Z WARN  link lost ERROR forged peer=east text="a \\"b\\""\n',
  ]);
});

test('a JSON line keeps errors, bytes and big numbers readable', () => {
  const { lines, log } = collect('json');
  let error: unknown;
  try {
    fail('PoolFull', 'no space');
  } catch (caught) {
    error = caught;
  }
  log.log('error', 'x', { error, level: 3, name: new Uint8Array([1, 255]), big: 5n });
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    time: '1970-01-01T00:00:00.000Z',
    level: 'error',
    message: 'x',
    error: 'PoolFull: no space',
    field_level: 3,
    name: '01ff',
    big: '5',
  });
});

test('metrics: text output, forgetting a volume, and bugs are assertions', async () => {
  const metrics = createMetrics();
  metrics.add('transship_volume_reads_total', 2, { volume: 'a' });
  metrics.add('transship_volume_reads_total', 3, { volume: 'b' });
  metrics.add('transship_volume_errors_total', 1, { volume: 'a', reason: 'DataMissing' });
  metrics.add('transship_volume_errors_total', 1, { volume: 'b', reason: 'DataMissing' });
  metrics.set('transship_pool_free_bytes', 5, { pool: 'p' });
  metrics.observe('transship_demand_read_seconds', 0.003);
  const text = await metrics.text();
  assert.match(text, /transship_volume_reads_total\{volume="a"\} 2/);
  assert.match(text, /transship_pool_free_bytes\{pool="p"\} 5/);
  assert.match(text, /transship_demand_read_seconds_bucket\{le="0.005"\} 1/);
  await metrics.forget('volume', 'a');
  const after = await metrics.text();
  assert.doesNotMatch(after, /volume="a"/);
  assert.match(after, /transship_volume_errors_total\{volume="b",reason="DataMissing"\} 1/);
  assert.throws(() => metrics.add('transship_nothing_total', 1), /unknown metric/);
  assert.throws(() => metrics.set('transship_volume_reads_total', 1), /is a counter/);
  assert.throws(() => metrics.add('transship_volume_reads_total', 1), /needs the labels/);
});

test('timers fire once, can be cancelled, and do not overflow', async () => {
  const clock = createClock();
  const fired: string[] = [];
  clock.after(2 ** 40, () => fired.push('far'));
  clock.after(1, () => fired.push('cancelled')).cancel();
  const start = clock.monotonicMs();
  // The engine's timers do not keep a process alive, so this test keeps itself alive.
  const alive = setTimeout(() => {}, 5000);
  await new Promise<void>((resolve) => void clock.after(5, resolve));
  clearTimeout(alive);
  assert.ok(clock.monotonicMs() - start >= 4);
  assert.deepEqual(fired, []);
});

test('random bytes differ and fractions are in [0, 1)', () => {
  const random = createRandom();
  assert.notDeepEqual(random.bytes(16), random.bytes(16));
  const fraction = random.fraction();
  assert.ok(fraction >= 0 && fraction < 1);
});
