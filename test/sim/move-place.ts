/** Where a migration or replication is, in words that are the same in every run of one story. */
import type { Migration } from '../../src/api/kinds/migration.ts';
import type { Replication } from '../../src/api/kinds/replication.ts';
import { isOver } from '../../src/controllers/replication/decide.ts';
import { isBegun } from '../../src/flow/state.ts';
import type { KubeObject } from '../../src/kube/objects.ts';

type Itinerary = NonNullable<Migration['status']>['itinerary'];

function stepOf(itinerary: Itinerary = []): string | undefined {
  const step = itinerary.findLast(isBegun);
  const isBack = step?.message?.startsWith('Taking back') === true;
  return step && `${isBack ? 'undo ' : ''}${step.name}`;
}

/** `go/copyAhead`, `go/undo copyAhead`; `go/begin` before its first step, `go/over` at its end. */
function placeOfMigration({ metadata, status }: Migration): string {
  const isDone = status?.completionTime !== undefined;
  return `${metadata.name}/${isDone ? 'over' : (stepOf(status?.itinerary) ?? 'begin')}`;
}

/** With the number of the run, as `copy-2/checking`; `copy-gone/leave` once it is deleted. */
function placeOfReplication({ metadata, spec, status = {} }: Replication): string {
  const { name, deletionTimestamp } = metadata;
  if (deletionTimestamp !== undefined) return `${name}-gone/leave`;
  const { phase, runs = 0, run = 0, itinerary } = status;
  if ((spec.run ?? 1) > run && (phase === undefined || isOver(phase))) {
    return `${name}-${runs + 1}/begin`;
  }
  if (phase === 'Running') return `${name}-${runs}/${stepOf(itinerary) ?? 'first'}`;
  return `${name}-${runs}/${isOver(phase) ? 'over' : (phase ?? 'begin').toLowerCase()}`;
}

/** Undefined: it is neither. */
export function placeOf(object: KubeObject): string | undefined {
  if (object.kind === 'Migration') return placeOfMigration(object as Migration);
  return object.kind === 'Replication' ? placeOfReplication(object as Replication) : undefined;
}

/** It was over before, and is still: to be changed once more is no place to be at. */
export function isStillOver(before: KubeObject | undefined, now: KubeObject): boolean {
  const place = placeOf(now);
  return place?.endsWith('/over') === true && before !== undefined && placeOf(before) === place;
}
