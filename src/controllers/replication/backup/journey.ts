/** The steps of backups and of what is restored, joined with their itineraries. */
import type { Replication } from '../../../api/kinds/replication.ts';
import { shapeOf } from '../../../api/replication-ends.ts';
import {
  backup,
  backupEnded,
  type Journey,
  replicated,
  restoring,
  routeOf,
} from '../../../flow/flow.ts';
import type { ReplicationRun } from '../as-plan.ts';
import { objectSteps } from '../steps/objects.ts';
import { finishSteps } from '../steps/finish.ts';
import { journey, makeNamespaces, removeTransfers } from '../journey.ts';
import { restoreSteps } from './restore-steps.ts';
import { backupSteps } from './save-steps.ts';

function backupJourney(): Journey<ReplicationRun> {
  const ending = routeOf(backupEnded, backupSteps);
  return { main: routeOf(backup, backupSteps), canceled: ending, failed: ending };
}

function restoreJourney(): Journey<ReplicationRun> {
  const steps = [
    ...makeNamespaces,
    ...objectSteps,
    ...finishSteps,
    removeTransfers,
    ...restoreSteps,
  ];
  const ending = routeOf(replicated, steps);
  return { main: routeOf(restoring, steps), canceled: ending, failed: ending };
}

/** Of a copy between clusters, too. */
export function journeyOf({ spec }: Replication): Journey<ReplicationRun> {
  switch (shapeOf(spec)) {
    case 'Copy':
      return journey();
    case 'Backup':
      return backupJourney();
    case 'Restore':
      return restoreJourney();
  }
}
