import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Migration, MigrationStatus } from '../../api/kinds/migration.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import { downtimeOf, type News, reportOf, resultOf, shareOf } from './status.ts';

const startMs = Date.UTC(2026, 0, 1);
const at = (seconds: number): string => new Date(startMs + seconds * 1000).toISOString();
type Steps = NonNullable<MigrationStatus['itinerary']>;

function migration(itinerary: Steps, type: Migration['spec']['type'] = 'Cutover'): Migration {
  const status = { startTime: at(0), itinerary };
  return { metadata: { name: 'go' }, spec: { plan: 'move', type }, status } as Migration;
}

function step(
  name: string,
  from: number,
  to?: number,
  state: Steps[number]['state'] = 'Succeeded',
) {
  if (to === undefined) return { name, state: 'Running' as const, startTime: at(from) };
  return { name, state, startTime: at(from), completionTime: at(to) };
}

interface Numbers {
  readonly startSeconds: number;
  readonly copied: number;
  readonly isDone: boolean;
}

function transfer(pass: 'a' | 'l', claim: string, { startSeconds, copied, isDone }: Numbers) {
  const status = isDone ? 'True' : 'Unknown';
  return {
    metadata: { name: `go-${pass}-01234567` },
    spec: { source: { cluster: 'east', namespace: 'shop', claim } },
    status: {
      phase: isDone ? 'Succeeded' : 'Running',
      startTime: at(startSeconds),
      totalBytes: 1000,
      copiedBytes: copied,
      bytesPerSecond: 100,
      elapsedSeconds: 10,
      conditions: [{ type: 'Succeeded', status, reason: 'Running', message: '' }],
    },
  } as unknown as VolumeTransfer;
}

function news(one: Migration, more: Partial<News> = {}): News {
  const outcome = { kind: 'again', afterMs: 0, step: 'copyAhead' } as const;
  const clusters = { source: 'east', destination: 'west' };
  const rest = { transfers: [], images: [], clusters, nowMs: startMs + 60_000 };
  return { migration: one, outcome, ...rest, ...more };
}

suite('the status of a migration', () => {
  test('downtime is from the stop until the workloads are proven healthy', () => {
    const stop = step('stopSource', 10, 12);
    const start = step('startDestination', 20, 25);
    const ends = startMs + 60_000;
    assert.equal(downtimeOf(migration([step('copyAhead', 1)]), ends), undefined);
    assert.equal(downtimeOf(migration([stop]), ends), 50_000);
    const proven = step('proveDestinationHealthy', 25, 31);
    assert.equal(downtimeOf(migration([stop, start, proven]), ends), 21_000);
    const skipped = { name: 'proveDestinationHealthy', state: 'Skipped' as const };
    assert.equal(downtimeOf(migration([stop, start, skipped]), ends), 15_000);
    const undone = step('stopSource', 10, 17, 'Undone');
    assert.equal(downtimeOf(migration([undone]), ends), 7_000);
    const back = [step('stopDestination', 5, 6), step('startSource', 8, 9)];
    assert.equal(downtimeOf(migration(back, 'Rollback'), ends), 4_000);
  });

  test('copies are most of the work', () => {
    const pending = (name: string) => ({ name, state: 'Pending' as const });
    const state = [step('checkPlan', 0, 1), step('copyAhead', 1), pending('cleanUp')];
    assert.equal(shareOf(state, 'copyAhead', 0), 4);
    assert.equal(shareOf(state, 'copyAhead', 50), 50);
    assert.equal(shareOf([], undefined), 0);
  });

  test('the last copy counts where it has begun, and the first one elsewhere', () => {
    const transfers = [
      transfer('a', 'db', { startSeconds: 5, copied: 1000, isDone: true }),
      transfer('a', 'web', { startSeconds: 8, copied: 1000, isDone: true }),
      transfer('l', 'db', { startSeconds: 30, copied: 400, isDone: false }),
    ];
    const { fields } = reportOf(news(migration([step('copyLast', 30)]), { transfers }));
    const { totalBytes, copiedBytes, bytesPerSecond, lagSeconds, display } =
      fields as MigrationStatus;
    assert.deepEqual([totalBytes, copiedBytes, bytesPerSecond], [2000, 1400, 100]);
    // The oldest of the newest whole copies was begun 5 seconds after the start.
    assert.equal(lagSeconds, 55);
    assert.equal(display?.rate, '100/s');
    assert.equal(display?.target, 'west');
  });

  test('one that was taken back says why', () => {
    const failure = 'Forbidden: no right to patch';
    const steps = [{ ...step('stopSource', 10, 12, 'Undone'), failure }];
    const { conditions } = reportOf(news(migration(steps), { outcome: { kind: 'undone' } }));
    const succeeded = conditions.find(({ type }) => type === 'Succeeded');
    assert.equal(succeeded?.status, 'False');
    assert.equal(succeeded?.reason, 'Forbidden');
    assert.match(succeeded?.message ?? '', /stopSource failed.*as before: no right to patch/);
  });

  test('past the point of no return the way back is named', () => {
    const message = 'step startDestination was begun, so that only a rollback leads back';
    const outcome = { kind: 'needsRollback', step: 'startDestination', message } as const;
    const { conditions } = reportOf(news(migration([]), { outcome }));
    const succeeded = conditions.find(({ type }) => type === 'Succeeded');
    assert.equal(succeeded?.reason, 'NeedsRollback');
    assert.match(succeeded?.message ?? '', /transship migrate rollback move/);
  });

  test('the result counts what was copied', () => {
    const transfers = [
      transfer('a', 'db', { startSeconds: 5, copied: 1000, isDone: true }),
      transfer('l', 'db', { startSeconds: 30, copied: 1000, isDone: true }),
    ];
    const one = migration([step('stopSource', 10, 12), step('startDestination', 20, 25)]);
    const result = resultOf(news(one, { transfers }), 3);
    assert.equal(result.volumes, 1);
    assert.equal(result.bytes, 1000);
    assert.equal(result.objects, 3);
    assert.equal(result.seconds, 60);
    assert.equal(result.downtimeSeconds, 15);
  });
});
