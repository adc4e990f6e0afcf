/** What people ask for in one schedule, and what goes wrong meanwhile. */
import type { MigrationSpec } from '../../src/api/kinds/migration.ts';
import type { PlanSpec } from '../../src/api/kinds/plan.ts';
import type { ReplicationSpec } from '../../src/api/kinds/replication.ts';
import { itineraries } from '../../src/flow/itineraries.ts';
import { allHooks } from './move-shop.ts';
import { pickTrouble, type Trouble } from './move-trouble.ts';
import { createRng, type Rng } from './rng.ts';

export interface Chapter {
  readonly name: string;
  readonly spec: Partial<MigrationSpec> & Pick<MigrationSpec, 'type'>;
  readonly cancelAtMs?: number;
  /** Places (`placeOf`) at which a person says so. */
  readonly cancelAt?: string;
  readonly pauseAt?: string;
  /** What a person does when it waits after a failure. */
  readonly inCase: 'retry' | 'cancel';
}

/** Instead of migrations: a replication of the shop that goes on beside it, named `copy`. */
export interface Copying {
  readonly spec: Partial<ReplicationSpec>;
  /** In this order; each run is a chapter `copy-1`, `copy-2`, the deletion is `copy-gone`. */
  readonly acts: readonly ('run' | 'delete')[];
  /** A place at which a person deletes it. */
  readonly deleteAt?: string;
}

export interface Story {
  readonly copying?: Copying;
  /** Whose volumes the shop has: those of agents, or directories; directories when absent. */
  readonly storage?: 'Agents' | 'Directories';
  readonly plan: Partial<PlanSpec>;
  readonly chapters: readonly Chapter[];
  readonly trouble: Trouble;
}

/** The first part of its places. */
export function lastChapterOf({ copying, chapters }: Pick<Story, 'copying' | 'chapters'>): string {
  if (copying === undefined) return chapters.at(-1)!.name;
  const { acts } = copying;
  return acts.at(-1) === 'delete' ? 'copy-gone' : `copy-${acts.length}`;
}

/** About as many effects as the longest has. */
const effectsMax = 240;

const cutover: Chapter = { name: 'go', spec: { type: 'Cutover' }, inCase: 'retry' };

/** A cutover without anything else, whose controllers are killed after that effect. */
export function killedAt(after: number): Story {
  const trouble: Trouble = { kind: 'kill', after, times: 1, ms: 1_000 };
  return { plan: {}, chapters: [cutover], trouble };
}

export function storyOf(seed: number): Story {
  const rng = createRng(seed).fork('story');
  const trouble = pickTrouble(rng, effectsMax);
  const what = rng.weighted({ cutover: 6, stage: 1, back: 5, rehearsal: 1, conversion: 3 });
  const onFailure = rng.pick(['RollBack', 'RollBack', 'Pause'] as const);
  const isConversion = what === 'conversion';
  const plan = planOf(rng, isConversion);
  const storage = !isConversion && rng.chance(0.3) ? 'Agents' : 'Directories';
  const inCase = rng.pick(['retry', 'cancel'] as const);
  const own = (chapter: Pick<Chapter, 'name' | 'spec'>): Chapter => ({
    ...chapter,
    inCase,
    ...ordersOf(rng, chapter),
  });
  return { plan: { onFailure, ...plan }, storage, trouble, chapters: chaptersOf(rng, what, own) };
}

/** At a time, or at a step that may have nothing to do. */
function ordersOf(rng: Rng, { name, spec }: Pick<Chapter, 'name' | 'spec'>): Partial<Chapter> {
  const { steps } = itineraries[spec.type];
  const place = `${name}/${rng.pick(steps).name}`;
  const what = rng.weighted({ nothing: 6, cancel: 1, cancelAt: 1, pauseAt: 1 });
  if (what === 'cancel') return { cancelAtMs: rng.between(0, 40_000) };
  return what === 'nothing' ? {} : { [what]: place };
}

function planOf(rng: Rng, isConversion: boolean): Partial<PlanSpec> {
  if (!isConversion) return rng.chance(0.4) ? { images: 'Auto', hooks: allHooks } : {};
  const change = { namespace: 'shop', claim: 'data-db-0', storageClass: 'directory' };
  return {
    destination: 'east',
    type: 'StorageConversion',
    volumes: [change],
    ...(rng.chance(0.5) ? { concurrency: 1 } : {}),
  };
}

function chaptersOf(
  rng: Rng,
  what: 'cutover' | 'stage' | 'back' | 'rehearsal' | 'conversion',
  own: (chapter: Pick<Chapter, 'name' | 'spec'>) => Chapter,
): readonly Chapter[] {
  const stage = own({ name: 'stage', spec: { type: 'Stage' } });
  const ahead = rng.chance(0.3) ? [stage] : [];
  const back: Pick<Chapter, 'name' | 'spec'> = {
    name: 'back',
    spec: { type: 'Rollback', ...(rng.chance(0.4) ? { keepData: false } : {}) },
  };
  switch (what) {
    case 'stage':
      return [stage];
    case 'rehearsal':
      return [own({ name: 'try', spec: { type: 'Rehearsal' } })];
    case 'cutover':
      return [...ahead, own(cutover)];
    case 'conversion':
      return [...ahead, cutover, ...(rng.chance(0.5) ? [own(back)] : [])];
    case 'back':
      return [cutover, own(back)];
  }
}
