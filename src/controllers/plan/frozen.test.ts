import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Migration } from '../../api/kinds/migration.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { changedNamespaces, type Pairs, pairsOf } from './frozen.ts';

const before = [{ name: 'shop' }, { name: 'bank', to: 'money' }];

function planOf(namespaces: Plan['spec']['namespaces']): Plan {
  return { spec: { source: 'east', destination: 'west', namespaces } } as Plan;
}

interface Parts {
  readonly isOpen?: boolean;
  readonly isHeld?: boolean;
  readonly conditions?: readonly string[];
  readonly start?: string;
  readonly namespaces?: Pairs | undefined;
}

function run(type: Migration['spec']['type'], parts: Parts = {}): Migration {
  const { isOpen = false, isHeld = false, conditions = [], start = 'Pending' } = parts;
  const { namespaces = pairsOf(planOf(before)) } = parts;
  return {
    metadata: { name: 'go', ...(isHeld ? { finalizers: ['transship.dev/migration'] } : {}) },
    spec: { plan: 'move', type },
    status: {
      startTime: 'x',
      ...(isOpen ? {} : { completionTime: 'x' }),
      namespaces: 'namespaces' in parts ? parts.namespaces : namespaces,
      itinerary: [{ name: 'startDestination', state: start }],
      conditions: conditions.map((name) => ({ type: name, status: 'True' })),
    },
  } as unknown as Migration;
}

const cutover = run('Cutover', { start: 'Succeeded' });
const looking = {
  ...run('Cutover', { isOpen: true }),
  status: {
    startTime: 'x',
    namespaces: pairsOf(planOf(before)),
    itinerary: [{ name: 'checkPlan', state: 'Running' }],
  },
} as unknown as Migration;
const stage = run('Stage', { conditions: ['Succeeded'] });
const back = run('Rollback', { conditions: ['Succeeded', 'RolledBack'] });
const other = { ...cutover, status: undefined } as unknown as Migration;

const more = [...before, { name: 'more' }];
const turned = before.toReversed();
const renamed = [{ name: 'shop', to: 'store' }, before[1]!];

const rows: readonly [string, readonly Migration[], Plan['spec']['namespaces'], boolean][] = [
  ['nothing has run', [], more, false],
  ['one that waits has changed nothing', [other], more, false],
  [
    'a name that is said is no change',
    [cutover],
    [{ name: 'shop', to: 'shop' }, before[1]!],
    false,
  ],
  ['a cutover that has only looked', [looking], more, false],
  ['a cutover, one more', [cutover], more, true],
  ['a cutover, one less', [cutover], before.slice(0, 1), true],
  ['a cutover, another order', [cutover], turned, true],
  ['a cutover, another name there', [cutover], renamed, true],
  ['a cutover that failed past its start', [run('Cutover', { start: 'Failed' })], more, true],
  ['a cutover that was taken back', [run('Cutover', { start: 'Undone' })], more, false],
  ['a cutover that was gone back from', [back, cutover], more, false],
  ['one after that', [cutover, back, cutover], more, true],
  ['a rollback that did not get there', [run('Rollback'), cutover], more, true],
  ['one that runs', [run('Stage', { isOpen: true })], more, true],
  ['a rollback that runs', [run('Rollback', { isOpen: true }), cutover], more, true],
  ['a rehearsal to be looked at', [run('Rehearsal', { isHeld: true })], more, true],
  ['a rehearsal that is gone', [run('Rehearsal')], more, false],
  ['a stage, one more', [stage], more, false],
  ['a stage, one less', [stage], before.slice(0, 1), true],
  ['a stage, another order', [stage], turned, true],
  ['a stage that failed', [run('Stage')], turned, false],
  [
    'an older program wrote nothing',
    [run('Stage', { isOpen: true, namespaces: undefined })],
    more,
    false,
  ],
];

for (const [what, found, namespaces, isChanged] of rows) {
  test(`namespaces of a plan: ${what}`, () => {
    const said = changedNamespaces(planOf(namespaces), found);
    assert.equal(said !== undefined, isChanged, said);
    if (isChanged) assert.match(said ?? '', / go began: shop, bank to money;/);
  });
}
