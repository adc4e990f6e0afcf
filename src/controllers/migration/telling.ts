/** What events and metrics say about the steps and copies of migrations. */
import type { Migration } from '../../api/kinds/migration.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import type { ItineraryState, StepState } from '../../flow/flow.ts';
import type { ControllerPorts } from '../ports.ts';
import { hasFailed, isUnfinished } from './transfers.ts';

const results: Readonly<Partial<Record<StepState['state'], string>>> = {
  Succeeded: 'succeeded',
  Failed: 'failed',
  Undone: 'undone',
};

/** After a state was made durable: each step that is another than before is told of. */
export function tellSteps(
  ports: ControllerPorts,
  migration: Migration,
  before: ItineraryState,
  now: ItineraryState,
): void {
  const known = new Map(before.map((entry) => [entry.name, entry.state]));
  for (const entry of now) {
    const was = known.get(entry.name) ?? 'Pending';
    if (was === entry.state) continue;
    tellStep(ports, migration, entry);
  }
}

function tellStep(ports: ControllerPorts, migration: Migration, entry: StepState): void {
  const { name, state, startTime, completionTime, message = '', failure = '' } = entry;
  const say = (type: 'Normal' | 'Warning', reason: string, note: string) => {
    ports.events.record({ regarding: migration, type, reason, action: 'Migrating', note });
  };
  if (state === 'Running') say('Normal', 'StepStarted', `${name}: ${message}`);
  if (state === 'Succeeded') say('Normal', 'StepSucceeded', `${name} is done`);
  if (state === 'Undone') say('Normal', 'StepUndone', `${name} is taken back`);
  if (state === 'Failed') say('Warning', 'StepFailed', `${name} failed: ${failure}`);
  const result = results[state];
  if (result === undefined) return;
  ports.metrics.add('transship_migration_steps_total', 1, { step: name, result });
  const seconds = (Date.parse(completionTime ?? '') - Date.parse(startTime ?? '')) / 1000;
  if (state === 'Undone' || Number.isNaN(seconds)) return;
  ports.metrics.observe('transship_migration_step_seconds', Math.max(0, seconds), { step: name });
}

/** How the whole of it ended. */
export function tellEnd(
  { events, metrics }: ControllerPorts,
  migration: Migration,
  { reason, message, isGood }: { reason: string; message: string; isGood: boolean },
): void {
  const type = isGood ? 'Normal' : 'Warning';
  events.record({ regarding: migration, type, reason, action: 'Migrating', note: message });
  const result = isGood ? 'succeeded' : reason === 'Canceled' ? 'canceled' : 'failed';
  metrics.add('transship_migrations_total', 1, { type: migration.spec.type, result });
}

/** A transfer that ended between two sights of it. */
export function tellTransfer(
  { metrics }: ControllerPorts,
  before: VolumeTransfer | undefined,
  now: VolumeTransfer | undefined,
): void {
  if (before === undefined || now === undefined) return;
  if (!isUnfinished(before) || isUnfinished(now)) return;
  const { method = 'None', wireBytes = 0, copiedBytes = 0, elapsedSeconds = 0 } = now.status ?? {};
  const result = hasFailed(now) ? 'failed' : 'succeeded';
  metrics.add('transship_transfers_total', 1, { method, result });
  metrics.add('transship_transfer_bytes_total', copiedBytes, { method });
  metrics.add('transship_transfer_wire_bytes_total', wireBytes, { method });
  metrics.observe('transship_transfer_seconds', elapsedSeconds, { method });
}
