import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { humanDuration } from './ages.ts';
import { hasFormat } from './formats.ts';
import { compileJsonPath } from './jsonpath.ts';
import { canonicalQuantity, compareQuantities } from './quantity.ts';

describe('quantities', () => {
  for (const [text, canonical] of [
    ['1024Mi', '1Gi'],
    ['1000m', '1'],
    ['0.5', '500m'],
    ['1.5Gi', '1536Mi'],
    ['1e3', '1e3'],
    ['12345e-3', '12345e-3'],
    ['1000k', '1M'],
    ['0', '0'],
    ['-1.5', '-1500m'],
    ['100n', '100n'],
    ['0.0000000001', '1n'],
    ['1000Ki', '1000Ki'],
    ['512', '512'],
  ] as const) {
    test(`${text} is ${canonical}`, () => assert.equal(canonicalQuantity(text), canonical));
  }

  test('no quantities', () => {
    for (const text of ['', 'abc', '1 Gi', '1GiB', '--1', '.', '1e99999']) {
      assert.equal(canonicalQuantity(text), undefined, text);
    }
  });

  test('the canonical text is equal, and canonical itself', () => {
    const suffix = fc.constantFrom('', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'n', 'u');
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 30), max: 2 ** 30 }), suffix, (number, unit) => {
        const text = `${number}${unit}`;
        const canonical = canonicalQuantity(text) ?? '';
        assert.equal(compareQuantities(text, canonical), 0);
        assert.equal(canonicalQuantity(canonical), canonical);
      }),
    );
  });
});

test('formats that servers check', () => {
  const good = {
    'date-time': ['2024-01-31T12:00:00Z', '2024-01-31T12:00:00.123456+01:00'],
    date: ['2024-02-29'],
    duration: ['1h30m', '2 days', '5s'],
    ipv4: ['1.2.3.4'],
    ipv6: ['::1', 'fe80::1:2', '::ffff:1.2.3.4'],
    cidr: ['10.0.0.0/8', 'fd00::/64'],
    uuid: ['01234567-89ab-cdef-0123-456789abcdef'],
  };
  const bad = {
    'date-time': ['yesterday', '2024-01-31', '2024-13-01T00:00:00Z'],
    date: ['2024-02-30', '2024-1-1'],
    duration: ['1x', ''],
    ipv4: ['1.2.3', '256.1.1.1'],
    ipv6: [':::', '1::2::3', '1:2:3'],
    cidr: ['10.0.0.0', '10.0.0.0/33'],
    uuid: ['zz'],
  };
  for (const [format, texts] of Object.entries(good)) {
    for (const text of texts) assert.ok(hasFormat(format, text), `${text} is a ${format}`);
  }
  for (const [format, texts] of Object.entries(bad)) {
    for (const text of texts) assert.ok(!hasFormat(format, text), `${text} is no ${format}`);
  }
  assert.ok(hasFormat('anything-else', 'x'));
});

test('ages as kubectl shows them', () => {
  const [s, m, h, d] = [1000, 60_000, 3_600_000, 86_400_000];
  const table: readonly (readonly [number, string])[] = [
    [0, '0s'],
    [119 * s, '119s'],
    [3 * m + 5 * s, '3m5s'],
    [10 * m, '10m'],
    [3 * h, '3h'],
    [3 * h + 5 * m, '3h5m'],
    [30 * h, '30h'],
    [2 * d + 3 * h, '2d3h'],
    [100 * d, '100d'],
    [800 * d, '2y70d'],
  ];
  for (const [ms, text] of table) assert.equal(humanDuration(ms), text);
});

describe('JSONPath', () => {
  const object = {
    spec: { size: 3, names: ['a', 'b'], 'x.y': 'dot' },
    status: {
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'Done', status: 'False' },
      ],
    },
  };
  for (const [path, found] of [
    ['.spec.size', 3],
    ['{.spec.size}', 3],
    ['spec.size', 3],
    ['.spec.names[0]', 'a'],
    ['.spec.names[-1]', 'b'],
    ['.spec.names[*]', 'a,b'],
    [".spec['x.y']", 'dot'],
    ['.spec.x\\.y', 'dot'],
    ['.status.conditions[?(@.type=="Ready")].status', 'True'],
    [".status.conditions[?(@.type=='Done')].status", 'False'],
    ['.status.conditions[*].type', 'Ready,Done'],
    ['.nothing.here', undefined],
    ['.constructor', undefined],
  ] as const) {
    test(path, () => assert.equal(compileJsonPath(path)(object), found));
  }

  test('what cannot be read is refused', () => {
    assert.throws(() => compileJsonPath('.a[?(@.b'), { reason: 'Invalid' });
  });
});
