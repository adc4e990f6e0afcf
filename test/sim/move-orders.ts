/** What people order while a migration runs, at places and not at times; and that it is obeyed. */
import type { Migration, MigrationSpec } from '../../src/api/kinds/migration.ts';
import { isBegun } from '../../src/flow/state.ts';
import { Mismatch } from './model.ts';
import type { Chapter } from './move-story.ts';
import type { MoveWorld } from './move-world.ts';

/** So long a person has it wait. */
const pauseMs = 25_000;
/** One may have begun before the order was read. */
const begunMeanwhileMax = 1;

export interface People {
  readonly order: (change: Partial<MigrationSpec>) => Promise<unknown>;
  readonly find: () => Migration | undefined;
}

/** A person who waits for the place that the chapter names. */
export function watchPlaces(world: MoveWorld, chapter: Chapter, people: People): void {
  const { scheduler } = world;
  const { cancelAt, pauseAt } = chapter;
  const seen = new Set<string>();
  const fail = (error: Error) => world.fail(error);
  world.onPlace = (place) => {
    const isNew = !seen.has(place);
    seen.add(place);
    if (!isNew) return;
    if (place === cancelAt) {
      scheduler.at(1, 'a person cancels', () => void people.order({ canceled: true }).catch(fail));
    }
    if (place === pauseAt)
      scheduler.at(1, 'a person pauses', () => void pause(world, people).catch(fail));
  };
}

async function pause(world: MoveWorld, { order, find }: People): Promise<void> {
  await order({ paused: true });
  const before = begun(find());
  world.scheduler.at(pauseMs, 'a person resumes', () => {
    const isBack = find()?.status?.itinerary?.some(({ state }) => state === 'Undone') === true;
    const more = begun(find()) - before;
    if (!isBack && more > begunMeanwhileMax) {
      world.fail(new Mismatch(`${more} steps began while it was paused`));
    }
    void order({ paused: false }).catch((error: Error) => world.fail(error));
  });
}

function begun(migration: Migration | undefined): number {
  return (migration?.status?.itinerary ?? []).filter(isBegun).length;
}
