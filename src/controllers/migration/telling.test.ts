import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Migration } from '../../api/kinds/migration.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import type { Metrics } from '../../base/ports.ts';
import { metricDefinition } from '../../base/metric-names.ts';
import type { EventDraft } from '../../kube/api.ts';
import type { ControllerPorts } from '../ports.ts';
import { tellEnd, tellSteps, tellTransfer } from './telling.ts';

/** What was told, as one line each; labels must be those of the table. */
function listen(): { readonly ports: ControllerPorts; readonly said: string[] } {
  const said: string[] = [];
  const write = (name: string, value: number, labels: Readonly<Record<string, string>> = {}) => {
    const definition = metricDefinition(name);
    assert.deepEqual(Object.keys(labels), [...(definition?.labels ?? [])], name);
    said.push(`${name} ${value} ${Object.values(labels).join(' ')}`);
  };
  const metrics: Metrics = { add: write, set: write, observe: write };
  const record = ({ type, reason, note }: EventDraft) =>
    void said.push(`${type} ${reason} ${note}`);
  const events = { record, stop: async () => undefined };
  return { ports: { metrics, events } as unknown as ControllerPorts, said };
}

const migration = { spec: { plan: 'move', type: 'Cutover' } } as Migration;
const startTime = '2026-01-01T00:00:00Z';

suite('what is told of migrations', () => {
  test('a step that begins and ends', () => {
    const { ports, said } = listen();
    const pending = [{ name: 'copyAhead', state: 'Pending' as const }];
    const message = 'Copies the volumes.';
    const running = [{ name: 'copyAhead', state: 'Running' as const, startTime, message }];
    const completionTime = '2026-01-01T00:01:30Z';
    const done = [{ name: 'copyAhead', state: 'Succeeded' as const, startTime, completionTime }];
    tellSteps(ports, migration, pending, running);
    tellSteps(ports, migration, running, running);
    tellSteps(ports, migration, running, done);
    assert.deepEqual(said, [
      'Normal StepStarted copyAhead: Copies the volumes.',
      'Normal StepSucceeded copyAhead is done',
      'transship_migration_steps_total 1 copyAhead succeeded',
      'transship_migration_step_seconds 90 copyAhead',
    ]);
  });

  test('a step that fails, and is taken back', () => {
    const { ports, said } = listen();
    const running = [{ name: 'stopSource', state: 'Running' as const, startTime }];
    const failure = 'Forbidden: no right to patch';
    const times = { startTime, completionTime: '2026-01-01T00:00:02Z' };
    const failed = [{ name: 'stopSource', state: 'Failed' as const, failure, ...times }];
    tellSteps(ports, migration, running, failed);
    tellSteps(ports, migration, failed, [{ ...failed[0]!, state: 'Undone' }]);
    assert.deepEqual(said, [
      'Warning StepFailed stopSource failed: Forbidden: no right to patch',
      'transship_migration_steps_total 1 stopSource failed',
      'transship_migration_step_seconds 2 stopSource',
      'Normal StepUndone stopSource is taken back',
      'transship_migration_steps_total 1 stopSource undone',
    ]);
  });

  test('a step without times, and one of a clock that went back', () => {
    const { ports, said } = listen();
    const entry = { name: 'findWay', state: 'Succeeded' as const };
    tellSteps(ports, migration, [], [entry]);
    const completionTime = '2025-12-31T23:59:00Z';
    tellSteps(ports, migration, [], [{ ...entry, startTime, completionTime }]);
    assert.deepEqual(
      said.filter((one) => one.startsWith('transship_migration_step_seconds')),
      ['transship_migration_step_seconds 0 findWay'],
    );
  });

  test('its end', () => {
    const { ports, said } = listen();
    tellEnd(ports, migration, { reason: 'Canceled', message: 'as before', isGood: false });
    tellEnd(ports, migration, { reason: 'Completed', message: 'done', isGood: true });
    tellEnd(ports, migration, { reason: 'Forbidden', message: 'no right', isGood: false });
    assert.deepEqual(said, [
      'Warning Canceled as before',
      'transship_migrations_total 1 Cutover canceled',
      'Normal Completed done',
      'transship_migrations_total 1 Cutover succeeded',
      'Warning Forbidden no right',
      'transship_migrations_total 1 Cutover failed',
    ]);
  });

  test('a copy is counted once, when it ends', () => {
    const { ports, said } = listen();
    const conditions = [{ type: 'Succeeded', status: 'True' }];
    const going = { spec: {}, status: { method: 'Filesystem' } } as VolumeTransfer;
    const numbers = { copiedBytes: 100, wireBytes: 40, elapsedSeconds: 7 };
    const ended = { spec: {}, status: { method: 'Filesystem', conditions, ...numbers } };
    tellTransfer(ports, undefined, ended as unknown as VolumeTransfer);
    tellTransfer(ports, going, ended as unknown as VolumeTransfer);
    tellTransfer(ports, ended as unknown as VolumeTransfer, ended as unknown as VolumeTransfer);
    assert.deepEqual(said, [
      'transship_transfers_total 1 Filesystem succeeded',
      'transship_transfer_bytes_total 100 Filesystem',
      'transship_transfer_wire_bytes_total 40 Filesystem',
      'transship_transfer_seconds 7 Filesystem',
    ]);
  });

  test('a copy that goes on is not counted, one that failed before it had a method is', () => {
    const { ports, said } = listen();
    const going = { spec: {}, status: { method: 'Block' } } as VolumeTransfer;
    const conditions = [{ type: 'Succeeded', status: 'False' }];
    const failed = { spec: {}, status: { conditions } } as unknown as VolumeTransfer;
    tellTransfer(ports, going, { ...going });
    assert.deepEqual(said, []);
    tellTransfer(ports, going, failed);
    assert.equal(said[0], 'transship_transfers_total 1 None failed');
  });
});
