/** All steps of migrations, joined with the itineraries that order them. */
import type { Migration } from '../../api/kinds/migration.ts';
import {
  endings,
  itineraries,
  type Itinerary,
  type Journey,
  type Route,
  routeOf,
  type Step,
} from '../../flow/flow.ts';
import { conditionsOf } from './conditions.ts';
import type { Run } from './run.ts';
import { claimSteps } from './steps/claims.ts';
import { copySteps } from './steps/copy.ts';
import { fenceSteps } from './steps/fence.ts';
import { finishSteps } from './steps/finish.ts';
import { hookSteps } from './steps/hooks.ts';
import { imageSteps } from './steps/images.ts';
import { objectSteps } from './steps/objects.ts';
import { prepareSteps } from './steps/prepare.ts';
import { removalSteps } from './steps/removal.ts';
import { startSteps } from './steps/start.ts';
import { stopSteps } from './steps/stop.ts';

const steps: readonly Step<Run>[] = [
  ...prepareSteps,
  ...imageSteps,
  ...hookSteps,
  ...stopSteps,
  ...fenceSteps,
  ...copySteps,
  ...claimSteps,
  ...objectSteps,
  ...startSteps,
  ...removalSteps,
  ...finishSteps,
];

/** Choices of plan and migration decide in one place which steps there are. */
function route(itinerary: Itinerary): Route<Run> {
  const conditions = new Map(itinerary.steps.map(({ name, when = [] }) => [name, when]));
  const chosen = steps.map((step): Step<Run> => {
    const when = conditions.get(step.name) ?? [];
    return {
      ...step,
      isNeeded: async (run) => {
        const known = conditionsOf(run);
        if (!when.every((one) => known.has(one))) return false;
        return step.isNeeded === undefined || step.isNeeded(run);
      },
    };
  });
  return routeOf(itinerary, chosen);
}

export function journeyOf(type: Migration['spec']['type']): Journey<Run> {
  return {
    main: route(itineraries[type]),
    canceled: route(endings.Canceled),
    failed: route(endings.Failed),
  };
}
