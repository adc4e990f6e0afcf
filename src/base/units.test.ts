import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TransshipError } from './errors.ts';
import { checkName, isName, printable } from './names.ts';
import * as units from './units.ts';

function reasonOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof TransshipError) return error.reason;
    throw error;
  }
  return 'none';
}

test('sizes are read as Kubernetes reads quantities', () => {
  const known: Record<string, number> = {
    '10Gi': 10 * 2 ** 30,
    '64KiB': 65536,
    '1.5T': 1.5e12,
    '1.5TiB': 1.5 * 2 ** 40,
    '4096': 4096,
    '512B': 512,
    '10 Mi': 10 * 2 ** 20,
    '1k': 1000,
    '0.5Ki': 512,
  };
  for (const [text, bytes] of Object.entries(known))
    assert.equal(units.parseSize(text), bytes, text);
});

test('what is no size is BadSize', () => {
  for (const text of ['', 'ten', '-1Gi', '10Gx', '1e3', '10GiG', '0x10', '99999999Pi', 'Gi']) {
    assert.equal(
      reasonOf(() => units.parseSize(text)),
      'BadSize',
      text,
    );
  }
});

test('volume sizes are bounded and whole sectors', () => {
  assert.equal(units.parseVolumeSize('1Mi'), 2 ** 20);
  assert.equal(units.parseVolumeSize('1.5T') % 4096, 0);
  for (const text of ['0', '1023Ki', '64.1Ti', '65Ti']) {
    assert.equal(
      reasonOf(() => units.parseVolumeSize(text)),
      'BadSize',
      text,
    );
  }
});

test('block sizes are one of six', () => {
  assert.equal(units.parseBlockSize('16k'), 16384);
  assert.equal(units.parseBlockSize('64Ki'), 65536);
  assert.equal(
    reasonOf(() => units.parseBlockSize('5Ki')),
    'BadSize',
  );
  assert.equal(
    reasonOf(() => units.parseBlockSize('256Ki')),
    'BadSize',
  );
});

test('rates are bytes or bits a second', () => {
  assert.equal(units.parseRate('100MiB/s'), 100 * 2 ** 20);
  assert.equal(units.parseRate('100Mi'), 100 * 2 ** 20);
  assert.equal(units.parseRate('1Gbit/s'), 1e9 / 8);
  assert.equal(units.parseRate('800Mbps'), 1e8);
  assert.equal(units.parseRate('unlimited'), undefined);
  assert.equal(units.parseRate('0'), undefined);
  for (const text of ['fast', '-3M', '10/s/s', '0.0B/s']) {
    assert.equal(
      reasonOf(() => units.parseRate(text)),
      'BadArgument',
      text,
    );
  }
});

test('durations', () => {
  assert.equal(units.parseDuration('90s'), 90_000);
  assert.equal(units.parseDuration('5m'), 300_000);
  assert.equal(units.parseDuration('24h'), 86_400_000);
  assert.equal(units.parseDuration('7d'), 604_800_000);
  assert.equal(units.parseDuration('1h30m'), 5_400_000);
  assert.equal(units.parseDuration('250ms'), 250);
  assert.equal(units.parseDuration('0'), 0);
  for (const text of ['', '5', '-5m', '5 minutes', 'm', '1y']) {
    assert.equal(
      reasonOf(() => units.parseDuration(text)),
      'BadTime',
      text,
    );
  }
});

test('moments are RFC 3339 or ages', () => {
  const nowMs = Date.UTC(2026, 0, 31, 12);
  assert.equal(units.parseMoment('2026-01-31T11:59:00Z', nowMs), nowMs - 60_000);
  assert.equal(units.parseMoment('2026-01-31T13:59:00+02:00', nowMs), nowMs - 60_000);
  assert.equal(units.parseMoment('2026-01-31 11:59:00.500Z', nowMs), nowMs - 59_500);
  assert.equal(units.parseMoment('90s', nowMs), nowMs - 90_000);
  assert.equal(units.parseMoment('5m ago', nowMs), nowMs - 300_000);
  assert.equal(units.parseMoment('now', nowMs), nowMs);
  const bad = ['yesterday', '2026-01-31', '2026-01-31T11:59:00', '2025-02-30T00:00:00Z'];
  for (const text of [...bad, '2027-01-01T00:00:00Z', '2026-13-01T00:00:00Z']) {
    assert.equal(
      reasonOf(() => units.parseMoment(text, nowMs)),
      'BadTime',
      text,
    );
  }
});

test('what is printed reads back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
      assert.equal(units.parseSize(units.exactSize(bytes)), bytes);
      const near = units.parseSize(units.formatSize(bytes));
      assert.ok(
        Math.abs(near - bytes) <= bytes * 0.01 + 1,
        `${bytes} → ${units.formatSize(bytes)}`,
      );
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (durationMs) => {
      assert.equal(units.parseDuration(units.formatDuration(durationMs)), durationMs);
    }),
  );
});

test('formats', () => {
  assert.equal(units.formatSize(10 * 2 ** 30), '10Gi');
  assert.equal(units.formatSize(1.5 * 2 ** 30), '1.5Gi');
  assert.equal(units.formatSize(0), '0');
  assert.equal(units.formatBytes(2 ** 20 - 1), '1.0 MiB');
  assert.equal(units.formatBytes(512), '512 B');
  assert.equal(units.formatRate(105.3 * 2 ** 20), '105.3 MiB/s');
  assert.deepEqual(
    [0, 45, 130, 1200, 3600 * 3 + 300, 3600 * 30, 86400 * 2 + 7200, 86400 * 400].map((seconds) =>
      units.formatAge(seconds * 1000),
    ),
    ['0s', '45s', '2m10s', '20m', '3h5m', '30h', '2d2h', '400d'],
  );
  assert.equal(units.formatDuration(86_400_000), '1d');
  assert.equal(units.formatMoment(Date.UTC(2026, 0, 1)), '2026-01-01T00:00:00Z');
});

test('names', () => {
  for (const text of ['a', 'db-1', 'a.b', '0', 'x'.repeat(63)]) assert.ok(isName(text), text);
  const bad = [
    '',
    '-a',
    'a-',
    'A',
    'ä',
    'a/b',
    'a..b',
    '..',
    'a b',
    'x'.repeat(64),
    'a\n',
    '\u202e',
  ];
  for (const text of bad) {
    assert.equal(
      reasonOf(() => checkName(text, 'volume')),
      'BadName',
      JSON.stringify(text),
    );
  }
  assert.equal(printable('a\u001b[31m\u202eb'), 'a\\u{1b}[31m\\u{202e}b');
});
