/** One schedule of migrations, from its seed to its verdict. */
import { type Migration, migrations, type MigrationSpec } from '../../src/api/kinds/migration.ts';
import { plans } from '../../src/api/kinds/plan.ts';
import type { SchemaLibrary } from '../../src/embedded/schema/api.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { deployments } from '../../src/kube/workloads.ts';
import type { RunResult } from './engine-run.ts';
import { Mismatch } from './model.ts';
import { checkEnd, checkWords, endOf, needsRollback } from './move-check.ts';
import { hub, isOpen, openShop, pictureOf, setUp, shop } from './move-shop.ts';
import { tellCopying } from './move-copying.ts';
import { troubledFor, isAbout, patienceMs, until } from './move-until.ts';
import { MoveWorld, type MoveMutation, sides } from './move-world.ts';
import { type CallSite, type EffectSite, type Survey, type Trouble } from './move-trouble.ts';
import { watchPlaces } from './move-orders.ts';
import { type Chapter, type Story, storyOf } from './move-story.ts';

export interface MoveRunOptions {
  readonly seed: number;
  readonly story?: Story;
  readonly mutation?: MoveMutation | undefined;
  /** Of an earlier run: to make one takes longer than to use it. */
  readonly library?: SchemaLibrary | undefined;
  readonly onEvent?: ((label: string, nowMs: number) => void) | undefined;
}

export interface MoveResult extends RunResult {
  readonly happened: boolean;
  readonly effects: number;
  readonly survey: Survey;
  /** What was to be disturbed and did not come about. */
  readonly missed: readonly (CallSite | EffectSite)[];
  /** How its migrations ended, in order. */
  readonly endings: readonly string[];
}

export async function runMove(options: MoveRunOptions): Promise<MoveResult> {
  const { seed, mutation = {}, onEvent } = options;
  const story = options.story ?? storyOf(seed);
  const { trouble } = story;
  const hasAgents = story.storage === 'Agents';
  const library = options.library ?? createSchemaLibrary();
  const world = new MoveWorld({ seed, library, trouble, mutation, hasAgents, onEvent });
  let violation: Error | undefined;
  try {
    await begin(world);
    if (story.copying === undefined) await tell(world, story);
    else await tellCopying(world, story.copying, trouble);
  } catch (error) {
    violation = error instanceof Error ? error : new Error(String(error));
  }
  world.close();
  violation = world.violation ?? violation;
  if (violation !== undefined) world.say(`story: ${JSON.stringify(story)}`);
  const { traceHash, events } = world.scheduler;
  const { effects, happened, survey, missed } = world.trouble;
  const { lives, messages, endings } = world;
  const seen = { happened, effects, survey, missed, endings };
  return { seed, traceHash, events, lives, violation, messages, ...seen };
}

async function begin(world: MoveWorld): Promise<void> {
  const { scheduler, east, west } = world;
  for (const side of [east, west]) {
    side.api.start();
    await scheduler.drive(setUp(world, side));
    await scheduler.drive(world.startMachinery(side));
  }
  if (world.engine !== undefined) for (const side of sides) world.startControllers(side);
  await scheduler.drive(openShop(east));
  await until(world, 'the shop is open', () => isOpen(world, 'east'), 60_000);
  await scheduler.idle(3_000);
}

async function tell(world: MoveWorld, story: Story): Promise<void> {
  const { scheduler, east } = world;
  const spec = { source: 'east', destination: 'west', namespaces: [{ name: shop }] };
  const more = { images: 'Skip', ...story.plan };
  await scheduler.drive(
    east.admin.create(plans, {
      metadata: { namespace: hub, name: 'move' },
      spec: { ...spec, ...more },
    } as never),
  );
  if (world.engine === undefined) world.startControllers();
  world.data.hookRunsMax = (name) => 1 + (find(world, name)?.spec.retry ?? 0);
  await scheduler.idle(2_000);
  world.onScale = (replicas) => {
    const key = { namespace: shop, name: 'web' };
    void east.admin.patch(deployments, key, { spec: { replicas } } as never).catch(() => undefined);
  };
  for (const [at, chapter] of story.chapters.entries()) {
    await run(world, chapter, story.trouble);
    const isStuck = endOf(find(world, chapter.name)) === needsRollback;
    const next = story.chapters[at + 1]?.spec.type;
    if (isStuck && next !== 'Rollback') await run(world, wayBack, story.trouble);
  }
}

/** What the message of a cutover that failed too late asks a person for. */
const wayBack: Chapter = { name: 'way-back', spec: { type: 'Rollback' }, inCase: 'retry' };

function find({ east }: MoveWorld, name: string): Migration | undefined {
  return east.api.find<Migration>('Migration', name, hub);
}

/** One migration until it is over, and what must be true then. */
async function run(world: MoveWorld, chapter: Chapter, trouble: Trouble): Promise<void> {
  const { scheduler, east, data } = world;
  const { name, spec, cancelAtMs } = chapter;
  const before = new Map(sides.map((side) => [side, pictureOf(world.side(side))]));
  const wasOpen = new Map(sides.map((side) => [side, isOpen(world, side)]));
  const old = data.old();
  data.isSourceEnough = spec.type === 'Rollback' && spec.keepData === false;
  data.isSandbox = (namespace) => namespace.endsWith('-rehearsal');
  await scheduler.drive(
    east.admin.create(migrations, {
      metadata: { namespace: hub, name },
      spec: { plan: 'move', ...spec },
    } as never),
  );
  const ask = (change: Partial<MigrationSpec>) =>
    east.admin.patch(migrations, { namespace: hub, name }, { spec: change } as never);
  const order = (change: Partial<MigrationSpec>) => scheduler.drive(ask(change));
  watchPlaces(world, chapter, { order: ask, find: () => find(world, name) });
  world.trouble.resume();
  const isOver = () => endOf(find(world, name)) !== undefined;
  if (cancelAtMs !== undefined) {
    await until(world, 'a while', () => false, cancelAtMs);
    await order({ canceled: true });
  }
  await until(world, name, isOver, troubledFor(trouble));
  // Where statuses cannot be written, nothing can be said.
  const isMute = isAbout(trouble, ' migrations');
  if (!isOver() && !isMute) checkWords(find(world, name));
  world.trouble.end();
  await resolve(world, chapter, { isOver, order });
  if (endOf(find(world, name)) === needsRollback && chapter.inCase === 'retry') {
    await order({ retry: (find(world, name)?.status?.retried ?? 0) + 1 });
    await until(world, 'the retry to begin', () => !isOver(), 10_000);
    await resolve(world, chapter, { isOver, order });
  }
  await until(world, 'helpers to go', () => false, 15_000);
  world.endings.push(`${name} ${endOf(find(world, name))}`);
  checkEnd(world, { migration: find(world, name), before, wasOpen, old, trouble });
}

interface Person {
  readonly isOver: () => boolean;
  readonly order: (change: Partial<MigrationSpec>) => Promise<unknown>;
}

/** Nothing goes wrong any more. Who pauses after a failure waits for a person, who decides. */
async function resolve(world: MoveWorld, { name, inCase }: Chapter, person: Person): Promise<void> {
  const isStill = () => find(world, name)?.status?.itinerary?.some((one) => one.state === 'Failed');
  const endMs = world.scheduler.nowMs + patienceMs;
  let retry = 0;
  while (!person.isOver() && world.scheduler.nowMs < endMs) {
    await until(world, name, () => person.isOver() || isStill() === true, patienceMs);
    if (person.isOver()) return;
    checkWords(find(world, name));
    if (isStill() !== true) break;
    retry += 1;
    await person.order(inCase === 'cancel' || retry > 3 ? { canceled: true } : { retry });
    await until(world, name, person.isOver, 10_000);
  }
  if (!person.isOver()) {
    const { status } = find(world, name) ?? {};
    throw new Mismatch(`${name} does not end: ${JSON.stringify(status, undefined, 1)}`);
  }
}
