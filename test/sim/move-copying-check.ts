/** What must be true when a run of a replication succeeded, and when the replication is gone. */
import type { Replication } from '../../src/api/kinds/replication.ts';
import { isStandby } from '../../src/controllers/replication/as-plan.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../src/kube/resources.ts';
import { preparedFor } from '../../src/workload/transform-context.ts';
import { Mismatch } from './model.ts';
import { helpersLeft } from './move-check.ts';
import { differences, isOpen, pictureOf } from './move-shop.ts';
import type { Copying } from './move-story.ts';
import { type MoveWorld, type SideName, sides } from './move-world.ts';

export const copyNamespace = 'copy';

export interface Before {
  /** Before the first run. */
  readonly pictures: ReadonlyMap<SideName, ReadonlyMap<string, string>>;
  /** The number of the last write of the source as the run began. */
  readonly newest: number;
  readonly copying: Copying;
}

/** Kinds that only help while a run goes on. */
const helping = new Set(['VolumeTransfer', 'ImageTransfer', 'Teleport']);

function leftOver(world: MoveWorld): readonly string[] {
  return sides.flatMap((side) =>
    [...world.side(side).api.objects.values()].flatMap(({ kind, metadata: { name = '' } }) => {
      const isRecord = /^transship-(undo-(swapped|stopped|kept|made)|choices)-/.test(name);
      const isLeft = helping.has(kind) || (kind === 'Secret' && isRecord);
      return isLeft ? [`${kind} ${name} is left at ${side}`] : [];
    }),
  );
}

/** Nobody at the source may see that there is a replication. */
function sourceChanges(world: MoveWorld, { pictures }: Before): readonly string[] {
  const found = differences(pictures.get('east')!, pictureOf(world.east));
  return isOpen(world, 'east') ? found : [...found, 'the shop is closed at the source'];
}

export function checkCopy(world: MoveWorld, one: Replication, before: Before): void {
  tell('a run succeeded', [
    ...helpersLeft(world),
    ...leftOver(world),
    ...sourceChanges(world, before),
    ...whatRuns(world, one),
    ...whatIsThere(world, one, before),
  ]);
}

function whatRuns({ data }: MoveWorld, one: Replication): readonly string[] {
  const counts = ['db', 'web'].map((app) => data.runningIn(app, 'west', copyNamespace));
  const wanted = isStandby(one) ? '0,0' : '1,2';
  return String(counts) === wanted ? [] : [`of db and web run ${counts} instead of ${wanted}`];
}

function whatIsThere(world: MoveWorld, one: Replication, { newest }: Before): readonly string[] {
  const { api } = world.west;
  const claim = api.find<PersistentVolumeClaim>(
    'PersistentVolumeClaim',
    'data-db-0',
    copyNamespace,
  );
  const volume = claim?.spec?.volumeName ?? '';
  const found: string[] = [];
  const content = isStandby(one)
    ? world.data.read(pathOf(world, volume))
    : world.data.begunWith('db', 'west', copyNamespace);
  if (typeof content !== 'number' || content < newest) {
    found.push(`the copy was begun with ${content}, and the source had ${newest} before it`);
  }
  if (hasMore(world)) {
    const volumes = api.list<PersistentVolume>('PersistentVolume');
    found.push(`there are volumes ${volumes.map(({ metadata }) => metadata.name)}`);
  }
  return found;
}

/** What copies files keeps the volume of before, for the differences. */
function hasMore({ engine, west }: MoveWorld): boolean {
  const max = engine === undefined ? 2 : 1;
  return west.api.list<PersistentVolume>('PersistentVolume').length > max;
}

/** Nothing that only helps is left. */
export function isTidy(world: MoveWorld): boolean {
  return leftOver(world).length === 0 && !hasMore(world);
}

function pathOf({ engine }: MoveWorld, volume: string): string {
  return `/${engine === undefined ? 'volumes' : 'engine'}/west/${volume}`;
}

export function checkGone(world: MoveWorld, before: Before): void {
  const marked = [...world.west.api.objects.values()]
    .filter(({ metadata }: KubeObject) => metadata.annotations?.[preparedFor] !== undefined)
    .map(({ kind, metadata }) => `${kind} ${metadata.name} is left at west`);
  tell('it was deleted', [
    ...helpersLeft(world),
    ...leftOver(world),
    ...marked,
    ...sourceChanges(world, before),
    ...differences(before.pictures.get('west')!, pictureOf(world.west)),
  ]);
}

function tell(when: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new Mismatch(`${when}: ${problems.join('; ')}`);
}
