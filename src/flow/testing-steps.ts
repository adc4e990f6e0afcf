/** The code of every step of the itineraries, over the model of `testing.ts`. */
import { fail } from '../base/errors.ts';
import { endings, itineraries } from './itineraries.ts';
import type { Condition, Itinerary, Journey, StepData } from './itinerary.ts';
import { routeOf } from './itinerary.ts';
import type { Step, Undoing } from './step.ts';
import { type SideName, wanted, type World } from './testing.ts';

export interface Choices {
  readonly conditions: ReadonlySet<Condition>;
  /** Where it ran before: `proveAsBefore` waits for that. */
  readonly ranAt: SideName;
}

type ModelStep = Omit<Step<Choices>, 'name' | 'description' | 'deadlineMs'>;

const done = { kind: 'done' } as const;
const notStarted = { kind: 'notStarted' } as const;

export type TypeOfRun = keyof typeof itineraries;

/** A planted mistake: other data, or other code. */
export interface Mistake {
  readonly itinerary?: (itinerary: Itinerary) => Itinerary;
  readonly step?: (step: Step<Choices>) => Step<Choices>;
}

export function modelJourney(
  world: World,
  type: TypeOfRun,
  mistake: Mistake = {},
): Journey<Choices> {
  const { itinerary: change = same, step: alter = same } = mistake;
  const route = (itinerary: Itinerary) => {
    return routeOf(
      itinerary,
      itinerary.steps.map((data) => alter(modelStep(world, data))),
    );
  };
  return {
    main: route(change(itineraries[type])),
    canceled: route(endings.Canceled),
    failed: route(endings.Failed),
  };
}

function same<T>(value: T): T {
  return value;
}

function modelStep(world: World, { name, when = [], undo }: StepData): Step<Choices> {
  const special = specials(world);
  const code = Object.hasOwn(special, name) ? special[name] : undefined;
  const used = code ?? flagged(world, name, undo === true);
  return {
    ...used,
    name,
    description: `Model of ${name}.`,
    deadlineMs: 60_000,
    isNeeded: ({ conditions }) => {
      return world.call(`isNeeded ${name}`, () => when.every((one) => conditions.has(one)));
    },
  };
}

function specials(world: World): Readonly<Record<string, ModelStep>> {
  return {
    copyAhead: copying(world, 'copyAhead', 'destination'),
    copyLast: copying(world, 'copyLast', 'destination'),
    copyBack: copying(world, 'copyBack', 'source'),
    auditVolumes: auditing(world, 'auditVolumes'),
    auditBack: auditing(world, 'auditBack'),
    pauseManagers: pausing(world, 'source'),
    pauseDestinationManagers: pausing(world, 'destination'),
    resumeManagers: inverse(pausing(world, 'source')),
    stopSource: stopping(world, 'source'),
    stopDestination: stopping(world, 'destination'),
    proveSourceStopped: proving(world, 'source', 0),
    proveDestinationStopped: proving(world, 'destination', 0),
    proveDestinationHealthy: proving(world, 'destination', wanted),
    proveSourceHealthy: proving(world, 'source', wanted),
    fenceSource: fencing(world, 'source'),
    fenceDestination: fencing(world, 'destination'),
    liftSourceFence: inverse(fencing(world, 'source')),
    startSource: starting(world, 'source'),
    startDestination: starting(world, 'destination'),
    removeTransfers: cleaning(world),
    removeHelpers: cleaning(world),
    cleanUp: cleaning(world),
    proveAsBefore: {
      observe: (choices) => proving(world, choices.ranAt, wanted).observe(choices),
      ensure: () => Promise.resolve(),
    },
  };
}

/** Something simple that is there or not. */
function flagged(world: World, name: string, hasUndo: boolean): ModelStep {
  const { flags } = world;
  const key = hasUndo ? name : `passing ${name}`;
  const step: ModelStep = {
    observe: () => world.call(`look ${name}`, () => (isThere(world, key) ? done : notStarted)),
    ensure: () => world.call(`make ${name}`, () => void (hasUndo ? flags : world.servers).add(key)),
  };
  if (!hasUndo) return step;
  return { ...step, undo: () => world.call(`unmake ${name}`, () => (flags.delete(key), done)) };
}

function isThere(world: World, key: string): boolean {
  return world.flags.has(key) || world.servers.has(key);
}

/** Two pods are made, one after the other; the copy has what was there when it began. */
function copying(world: World, name: string, to: SideName): ModelStep {
  const from = world.sides[to === 'source' ? 'destination' : 'source'];
  return {
    observe: () =>
      world.call(`look ${name}`, () => {
        const transfer = world.transfers.get(name);
        if (transfer === undefined || !world.servers.has(name)) return notStarted;
        if (transfer.leftTicks === 0) return done;
        return { kind: 'running', percent: 50, progress: [`${transfer.leftTicks} left`] };
      }),
    ensure: async () => {
      await world.call(`make server of ${name}`, () => void world.servers.add(name));
      await world.call(`make client of ${name}`, () => {
        if (world.transfers.has(name)) return;
        world.transfers.set(name, { value: from.data, to, leftTicks: 3 });
      });
    },
    undo: async () => {
      await world.call(`delete client of ${name}`, () => void world.transfers.delete(name));
      await world.call(`delete server of ${name}`, () => void world.servers.delete(name));
      return done;
    },
  };
}

function auditing(world: World, name: string): ModelStep {
  const { source, destination } = world.sides;
  return {
    ...flagged(world, name, false),
    ensure: () =>
      world.call(`make ${name}`, () => {
        if (source.data !== destination.data) fail('DataCorrupt', 'the two sides differ');
        world.servers.add(`passing ${name}`);
      }),
  };
}

function pausing(world: World, side: SideName): Required<ModelStep> {
  return {
    isNeeded: () => Promise.resolve(true),
    observe: () =>
      world.call(`look managers ${side}`, () => (world.paused.has(side) ? done : notStarted)),
    ensure: () => world.call(`pause managers ${side}`, () => void world.paused.add(side)),
    undo: () => world.call(`resume managers ${side}`, () => (world.paused.delete(side), done)),
  };
}

/** The record is written before the first change, and goes after the last. */
function stopping(world: World, name: SideName): ModelStep {
  const { records } = world;
  const side = world.sides[name];
  return {
    observe: () =>
      world.call(`look ${name}`, () => {
        return side.replicas === 0 && records.has(name) ? done : notStarted;
      }),
    ensure: async () => {
      await world.call(`record ${name}`, () => {
        if (!records.has(name)) records.set(name, side.replicas);
      });
      await world.call(`scaleDown ${name}`, () => void (side.replicas = 0));
    },
    undo: async (): Promise<Undoing> => {
      const replicas = await world.call(`read record ${name}`, () => records.get(name));
      if (replicas === undefined) return done;
      await world.call(`scaleUp ${name}`, () => void (side.replicas = replicas));
      if (side.pods < replicas) return { kind: 'running', message: 'its pods start' };
      await world.call(`forget record ${name}`, () => void records.delete(name));
      return done;
    },
  };
}

function proving(world: World, name: SideName, pods: number): ModelStep {
  const side = world.sides[name];
  return {
    observe: () =>
      world.call(`prove ${name} ${pods}`, () => {
        if (side.pods === pods && side.replicas === pods) return done;
        const message = `${side.pods} pods run at the ${name}, ${pods} should`;
        return { kind: 'waiting', message, remedy: 'Look at its pods.' };
      }),
    ensure: () => Promise.resolve(),
  };
}

function fencing(world: World, name: SideName): Required<ModelStep> {
  const side = world.sides[name];
  return {
    isNeeded: () => Promise.resolve(true),
    observe: () => world.call(`look fence ${name}`, () => (side.isFenced ? done : notStarted)),
    ensure: () => world.call(`fence ${name}`, () => void (side.isFenced = true)),
    undo: () => world.call(`unfence ${name}`, () => ((side.isFenced = false), done)),
  };
}

/** Taking away what another step makes, and its undo, which makes it again. */
function inverse(step: Required<ModelStep>): ModelStep {
  return {
    observe: async (choices) => {
      return (await step.observe(choices)).kind === 'done' ? notStarted : done;
    },
    ensure: async (choices) => void (await step.undo(choices)),
    undo: async (choices) => {
      await step.ensure(choices);
      return done;
    },
  };
}

function starting(world: World, name: SideName): ModelStep {
  const side = world.sides[name];
  return {
    observe: () =>
      world.call(`look ${name}`, () => {
        if (side.replicas !== wanted) return notStarted;
        if (side.pods === wanted) return done;
        return { kind: 'running', message: 'its pods start' };
      }),
    ensure: () => world.call(`start ${name}`, () => void (side.replicas = wanted)),
  };
}

function cleaning(world: World): ModelStep {
  return {
    observe: () =>
      world.call('look helpers', () => {
        return world.servers.size + world.transfers.size === 0 ? done : notStarted;
      }),
    ensure: () =>
      world.call('remove helpers', () => {
        world.servers.clear();
        world.transfers.clear();
      }),
  };
}
