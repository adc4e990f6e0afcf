// What a migration says in its conditions and numbers, for every way in which it can stand.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { ImageTransfer } from '../../api/kinds/image-transfer.ts';
import type { Migration, MigrationStatus } from '../../api/kinds/migration.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import { lagOf, type News, reportOf, resultOf, shareOf } from './status.ts';

const startMs = Date.UTC(2026, 0, 1);
const at = (seconds: number): string => new Date(startMs + seconds * 1000).toISOString();
type Steps = NonNullable<MigrationStatus['itinerary']>;
type Type = Migration['spec']['type'];

const failure = { reason: 'Forbidden', message: 'no right to patch.' } as const;

function news(
  outcome: News['outcome'],
  parts: Partial<News> & { steps?: Steps; type?: Type } = {},
) {
  const { steps = [], type = 'Cutover', ...more } = parts;
  const migration = {
    metadata: { name: 'go' },
    spec: { plan: 'move', type },
    status: { startTime: at(0), itinerary: steps },
  } as unknown as Migration;
  const rest = { transfers: [], images: [], clusters: undefined, nowMs: startMs + 60_000 };
  return { migration, outcome, ...rest, ...more } satisfies News;
}

function said(one: News, type = 'Succeeded'): string {
  const found = reportOf(one).conditions.find((condition) => condition.type === type);
  return found === undefined ? 'nothing' : `${found.status} ${found.reason}: ${found.message}`;
}

const typesOf = (one: News): readonly string[] =>
  reportOf(one).conditions.map(({ type, status }) => `${type} ${status}`);

const fieldsOf = (one: News): MigrationStatus => reportOf(one).fields as MigrationStatus;

interface Shape {
  readonly name?: string;
  readonly claim?: string;
  readonly start?: number;
  readonly status?: 'True' | 'Unknown';
  readonly more?: object;
  readonly conditions?: readonly object[];
}

function transfer(shape: Shape = {}): VolumeTransfer {
  const { name = 'go-a-01234567', claim = 'db', start = 5, status = 'True' } = shape;
  const conditions = [{ type: 'Succeeded', status }, ...(shape.conditions ?? [])];
  return {
    metadata: { name },
    spec: { source: { cluster: 'east', namespace: 'shop', claim } },
    status: { startTime: at(start), totalBytes: 1000, conditions, ...shape.more },
  } as unknown as VolumeTransfer;
}

const again = { kind: 'again', afterMs: 0, step: 'copyAhead' } as const;
const succeeded = { kind: 'succeeded' } as const;
const undone = { kind: 'undone' } as const;
const running = { name: 'copyAhead', state: 'Running', startTime: at(1) } as const;

suite('the words of a migration', () => {
  test('what keeps it from running is said twice', () => {
    const blocked = { kind: 'blocked', reason: 'NotFound', message: 'there is no plan' } as const;
    assert.equal(said(news(blocked), 'Ready'), 'False NotFound: there is no plan');
    assert.equal(said(news(blocked)), 'Unknown NotFound: there is no plan');
  });

  test('checks that wait make it not ready, other steps only wait', () => {
    const waiting = {
      kind: 'waiting',
      afterMs: 1,
      message: 'no room',
      remedy: 'make some',
    } as const;
    const checking = news({ ...waiting, step: 'checkPlan' });
    assert.equal(said(checking, 'Ready'), 'False ChecksFailed: no room; make some');
    const making = news({ ...waiting, step: 'makeObjects' });
    assert.match(said(making, 'Ready'), /^True Ready/);
    assert.equal(said(making), 'Unknown Waiting: makeObjects: no room; make some');
  });

  test('it runs, is taken back, or is held', () => {
    assert.equal(said(news(again)), 'Unknown Running: copyAhead');
    const back = [{ name: 'copyLast', state: 'Undone' as const }];
    assert.equal(said(news(again, { steps: back })), 'Unknown TakingBack: all is taken back');
    const held = { kind: 'held', step: 'stopSource' } as const;
    assert.match(said(news({ ...held, by: 'paused' })), /Held: .* spec\.paused is true/);
    assert.match(said(news({ ...held, by: 'holdBefore' })), /Held: .* spec\.holdBefore names it/);
  });

  test('how it ended', () => {
    assert.equal(said(news(succeeded)), 'True Completed: Cutover of plan move is done');
    assert.match(
      said(news({ kind: 'failed', step: 'stopSource', ...failure })),
      /^False Forbidden/,
    );
    assert.match(said(news(undone)), /^False Canceled/);
    const odd = [{ name: 'stopSource', state: 'Undone' as const, failure: 'Odd: it broke' }];
    assert.match(said(news(undone, { steps: odd })), /^False Internal: .*it broke$/);
  });

  test('each type has its own milestones', () => {
    const all = (type: Type) => typesOf(news(again, { type })).slice(2);
    assert.deepEqual(all('Stage'), ['Staged False']);
    assert.deepEqual(all('Cutover'), ['Staged False', 'CutOver False']);
    assert.deepEqual(all('Rollback'), ['RolledBack False']);
    assert.deepEqual(all('Rehearsal'), []);
  });
});

suite('the numbers of a migration', () => {
  test('skipped steps are done', () => {
    const steps = [
      { name: 'findWay', state: 'Skipped' as const },
      { name: 'cleanUp', state: 'Pending' as const },
    ];
    assert.equal(shareOf(steps, undefined), 50);
  });

  test('only a run that goes on has a step and a rate', () => {
    const transfers = [
      transfer({ status: 'Unknown', more: { phase: 'Running', bytesPerSecond: 7 } }),
    ];
    const going = fieldsOf(news(again, { steps: [running], transfers }));
    assert.deepEqual([going.step, going.bytesPerSecond], ['copyAhead', 7]);
    const over = fieldsOf(news(succeeded, { steps: [running], transfers }));
    assert.deepEqual([over.step, over.bytesPerSecond, over.percent], [undefined, undefined, 100]);
    const empty = fieldsOf(news(again, { steps: [running] }));
    assert.deepEqual([empty.totalBytes, empty.display?.bytes], [undefined, undefined]);
  });

  test('how old the copy is', () => {
    const transfers = [
      transfer({ start: 5 }),
      transfer({ start: 40 }),
      transfer({ start: 50, status: 'Unknown' }),
    ];
    assert.equal(lagOf(news(again, { transfers })), 20);
    assert.equal(lagOf(news(again, { transfers, type: 'Rollback' })), undefined);
    assert.equal(lagOf(news(again, { transfers, type: 'Rehearsal' })), undefined);
    const steps = [{ name: 'copyLast', state: 'Succeeded' as const }];
    assert.equal(lagOf(news(again, { transfers, steps })), 0);
    assert.equal(fieldsOf(news(undone, { transfers })).lagSeconds, undefined);
  });

  test('the result is of what was copied, and of all that travelled', () => {
    const verified = (status: string) => [{ type: 'Verified', status }];
    const transfers = [
      transfer({ more: { wireBytes: 10 } }),
      transfer({ name: 'go-l-00000001', more: { wireBytes: 5 }, conditions: verified('True') }),
      transfer({ name: 'go-l-00000002', claim: 'web', conditions: verified('False') }),
    ];
    const image = (phase: string) =>
      ({ status: { phase, totalBytes: 3, wireBytes: 2 } }) as unknown as ImageTransfer;
    const images = [image('Succeeded'), image('Failed')];
    const result = resultOf(news(succeeded, { transfers, images }), undefined);
    assert.deepEqual([result.volumes, result.images, result.verified], [2, 1, 1]);
    assert.deepEqual([result.bytes, result.wireBytes], [2003, 19]);
    assert.equal(result.objects, undefined);
  });
});
