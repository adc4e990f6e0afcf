import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Replication } from '../../api/kinds/replication.ts';
import { joined, type FixRecord } from './fixes.ts';
import { lagOf, resultOf, syncOf } from './progress.ts';

const made = '2026-01-01T00:00:00Z';
const madeMs = Date.parse(made);

function replication(status: Replication['status'], continuous?: string): Replication {
  return {
    apiVersion: 'transship.dev/v1alpha1',
    kind: 'Replication',
    metadata: { namespace: 'default', name: 'shop', creationTimestamp: made },
    spec: {
      source: 'east',
      destination: 'west',
      namespaces: [{ name: 'shop' }],
      ...(continuous === undefined ? {} : { continuous }),
    },
    ...(status === undefined ? {} : { status }),
  };
}

suite('how old the data is', () => {
  test('it is as old as the beginning of its copy', () => {
    assert.equal(lagOf(replication({ dataTime: made }), madeMs + 61_500), 61);
    assert.equal(lagOf(replication({}), madeMs), undefined);
    const itinerary = [
      { name: 'makeNamespaces', state: 'Succeeded', startTime: '2026-01-01T00:00:01Z' },
      { name: 'copyLast', state: 'Succeeded', startTime: '2026-01-01T00:00:07Z' },
    ] as const;
    const one = replication({ startTime: made, itinerary });
    assert.equal(resultOf(one, madeMs + 20_000).dataTime, '2026-01-01T00:00:07Z');
    assert.equal(resultOf(one, madeMs + 20_000).report?.seconds, 20);
  });

  test('more than two intervals are behind, also before there is a first copy', () => {
    const one = replication({ dataTime: made }, '1m');
    assert.equal(syncOf(one, madeMs + 120_000).drafts[0]?.status, 'True');
    const behind = syncOf(one, madeMs + 121_000);
    assert.equal(behind.drafts[0]?.status, 'False');
    assert.match(behind.alarm ?? '', /the data at west is .* old, more than two intervals/);
    assert.equal(syncOf(replication({}, '1m'), madeMs + 121_000).drafts[0]?.status, 'False');
    assert.deepEqual(syncOf(replication({ dataTime: made }), madeMs + 1e9).drafts, []);
  });

  test('the alarm is given once', () => {
    const known = {
      type: 'InSync',
      status: 'False',
      reason: 'Behind',
      message: '',
      lastTransitionTime: made,
    } as const;
    const one = replication({ dataTime: made, conditions: [known] }, '1m');
    assert.equal(syncOf(one, madeMs + 300_000).alarm, undefined);
  });
});

test('what was there before the first fix is what comes back', () => {
  const type = { group: '', version: 'v1', plural: 'resourcequotas', kind: 'ResourceQuota' };
  const record = (before: string, during: string, path = 'pods'): FixRecord => ({
    type: { ...type, namespaced: true },
    namespace: 'shop',
    name: 'tight',
    uid: 'u',
    fields: [{ path: ['spec', 'hard', path], before, during }],
  });
  const again = joined(
    [record('1', '2')],
    [record('2', '3'), record('9', '9', 'other')].slice(0, 1),
  );
  assert.deepEqual(again[0]?.fields, [
    { path: ['spec', 'hard', 'pods'], before: '1', during: '3' },
  ]);
  const more = joined([record('1', '2')], [record('5', '6', 'services')]);
  assert.deepEqual(
    more[0]?.fields.map(({ before }) => before),
    ['1', '5'],
  );
  assert.equal(joined([], [record('1', '2')]).length, 1);
});
