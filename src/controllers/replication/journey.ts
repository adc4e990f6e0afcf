/** The steps of a replication, joined with the itinerary that orders them. */
import { assert } from '../../base/errors.ts';
import { type Journey, replicated, replication, routeOf, type Step } from '../../flow/flow.ts';
import { copySteps } from '../migration/steps/copy.ts';
import { finishSteps as migrationFinish } from '../migration/steps/finish.ts';
import { imageSteps } from '../migration/steps/images.ts';
import { prepareSteps } from '../migration/steps/prepare.ts';
import { hasVolumes, type ReplicationRun } from './as-plan.ts';
import { finishSteps } from './steps/finish.ts';
import { objectSteps } from './steps/objects.ts';
import { stopCopy } from './steps/stop-copy.ts';
import { volumeSteps } from './steps/volumes.ts';

type Shared = Step<ReplicationRun>;

/** A namespace that a person agreed to stays, also when the copy into it fails. */
export const makeNamespaces: readonly Shared[] = prepareSteps
  .filter(({ name }) => name === 'makeNamespaces')
  .map(({ undo: _undo, ...step }) => step);

const copies: readonly Shared[] = copySteps
  .filter(({ name }) => name === 'copyAhead' || name === 'copyLast')
  .map((step): Shared => {
    return {
      ...step,
      isNeeded: async (run) => hasVolumes(run.replication),
      // That the source runs on is what a replication is: `fillVolumes` says what that means.
      ensure: (run) => step.ensure({ ...run, warn: () => undefined }),
    };
  });

/** Ends all copies of a run and takes away what they made; also when the replication goes. */
export const removeTransfers: Shared = namedOf(migrationFinish, 'removeTransfers');

function namedOf(all: readonly Shared[], wanted: string): Shared {
  const found = all.find(({ name }) => name === wanted);
  assert(found !== undefined, `there is no step ${wanted}`);
  return found;
}

const steps: readonly Shared[] = [
  ...makeNamespaces,
  ...imageSteps,
  ...copies,
  removeTransfers,
  ...volumeSteps,
  stopCopy,
  ...objectSteps,
  ...finishSteps,
];

export function journey(): Journey<ReplicationRun> {
  const ending = routeOf(replicated, steps);
  return { main: routeOf(replication, steps), canceled: ending, failed: ending };
}
