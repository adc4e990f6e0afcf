/** All steps of migrations, joined with the itineraries that order them. */
import type { Migration } from '../../api/kinds/migration.ts';
import { fail } from '../../base/errors.ts';
import { endings, itineraries, type Itinerary, type Journey, type Step } from '../../flow/flow.ts';
import { type Route, routeOf } from '../../flow/flow.ts';
import { conditionsOf } from './conditions.ts';
import type { Run } from './run.ts';
import { copySteps } from './steps/copy.ts';
import { finishSteps } from './steps/finish.ts';
import { hookSteps } from './steps/hooks.ts';
import { imageSteps } from './steps/images.ts';
import { prepareSteps } from './steps/prepare.ts';

const steps: readonly Step<Run>[] = [
  ...prepareSteps,
  ...imageSteps,
  ...hookSteps,
  ...copySteps,
  ...finishSteps,
];

function later(name: string): Step<Run> {
  return {
    name,
    description: 'Part of the next version.',
    deadlineMs: 0,
    observe: async () => fail('Unsupported', `step ${name} is not in this version`),
    ensure: async () => undefined,
    undo: async () => ({ kind: 'done' }),
  };
}

/** Choices of plan and migration decide in one place which steps there are. */
function route(itinerary: Itinerary): Route<Run> {
  const wanted = new Map(itinerary.steps.map(({ name, when = [] }) => [name, when]));
  const known = new Set(steps.map(({ name }) => name));
  const missing = itinerary.steps
    .filter(({ name }) => !known.has(name))
    .map(({ name }) => later(name));
  const chosen = [...steps, ...missing]
    .filter(({ name }) => wanted.has(name))
    .map((step): Step<Run> => {
      const when = wanted.get(step.name) ?? [];
      return {
        ...step,
        isNeeded: async (run) => {
          const conditions = conditionsOf(run);
          if (!when.every((one) => conditions.has(one))) return false;
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
