/** What must be true of a migration that waits, and of both clusters when one is over. */
import type { Migration } from '../../src/api/kinds/migration.ts';
import type { Plan } from '../../src/api/kinds/plan.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { ourLabels } from '../../src/workload/ours.ts';
import { Mismatch } from './model.ts';
import type { Content } from './move-data.ts';
import { differences, isOpen, pictureOf, shop, webImage } from './move-shop.ts';
import type { Trouble } from './move-trouble.ts';
import { type MoveWorld, type SideName, sides } from './move-world.ts';

/** Of a cutover that failed or was canceled past its point of no return. */
export const needsRollback = 'NeedsRollback';

/** Reason of its end; undefined while it is open. */
export function endOf(migration: Migration | undefined): string | undefined {
  const { status } = migration ?? {};
  if (status?.completionTime === undefined) return undefined;
  const found = status.conditions?.find(({ type }) => type === 'Succeeded');
  return found?.status === 'Unknown' ? undefined : found?.reason;
}

/** Whoever waits says for what, in a sentence. */
export function checkWords(migration: Migration | undefined): void {
  const found = migration?.status?.conditions?.find(({ type }) => type === 'Succeeded');
  if ((found?.message ?? '').length > 10) return;
  // It may not even have been able to write that down.
  if (migration?.status?.itinerary === undefined) return;
  throw new Mismatch(`it waits without a word: ${JSON.stringify(migration.status, undefined, 1)}`);
}

export interface Ended {
  readonly migration: Migration | undefined;
  readonly before: ReadonlyMap<SideName, ReadonlyMap<string, string>>;
  readonly wasOpen: ReadonlyMap<SideName, boolean>;
  /** Volumes that nobody ran on when it began. */
  readonly old: ReadonlyMap<string, Content>;
  readonly trouble: Trouble;
}

export function checkEnd(world: MoveWorld, ended: Ended): void {
  const { migration } = ended;
  const succeeded = migration?.status?.conditions?.find(({ type }) => type === 'Succeeded');
  const problems = [...helpersLeft(world)];
  if (succeeded?.status === 'True') {
    problems.push(...workLeft(world, migration));
    problems.push(...recordsLeft(world, migration?.spec.type ?? ''));
  }
  const isDone = succeeded?.status === 'True';
  if (succeeded?.reason === needsRollback) {
    // Then a person decides, who must be told what there is to choose from.
    const isTold = /rollback.*retry/.test(succeeded.message ?? '');
    if (!isTold) problems.push('it does not say how to go on');
  } else if (isDone) problems.push(...whereItRuns(world, migration, ended.trouble));
  else problems.push(...asBefore(world, ended));
  if (problems.length === 0) return;
  const how = `${migration?.spec.type} ended ${succeeded?.status} ${succeeded?.reason}`;
  throw new Mismatch(`${how} (${succeeded?.message}): ${problems.join('; ')}`);
}

function isHelper({ kind, metadata }: KubeObject): boolean {
  const { labels = {} } = metadata;
  const isMade = kind === 'Pod' || kind === 'Secret' || kind === 'Service' || kind === 'Job';
  return isMade && (labels[ourLabels.transfer] ?? labels[ourLabels.hook]) !== undefined;
}

export function helpersLeft(world: MoveWorld): readonly string[] {
  return sides.flatMap((side) =>
    [...world.side(side).api.objects.values()]
      .filter(isHelper)
      .map(({ kind, metadata }) => `${kind} ${metadata.name} is left at ${side}`),
  );
}

/** Kinds of records that a migration which is done leaves for the next one, and no others. */
const recordsKept: Readonly<Record<string, readonly string[]>> = {
  Stage: ['retained'],
  Cutover: ['stopped', 'made', 'retained', 'rebound', 'templates'],
  Rollback: [],
  Rehearsal: ['made'],
};

function recordsLeft(world: MoveWorld, type: string): readonly string[] {
  const kept = recordsKept[type] ?? [];
  return sides.flatMap((side) =>
    [...world.side(side).api.objects.values()].flatMap(({ kind, metadata }) => {
      const { name = '', annotations = {} } = metadata;
      const record = kind === 'Secret' && /^transship-undo-([a-z]+)/.exec(name)?.[1];
      const isLeft = typeof record === 'string' && !kept.includes(record);
      const isFence = kind === 'ResourceQuota' && type !== 'Cutover';
      const isTorn = annotations['transship.dev/torn'] !== undefined;
      return isLeft || isFence || isTorn ? [`${kind} ${name} is left at ${side}`] : [];
    }),
  );
}

/** Hooks that did not run and images that are not there, though it says that all is done. */
function workLeft({ east, west, data }: MoveWorld, migration: Migration | undefined) {
  const { name = '' } = migration?.metadata ?? {};
  const [plan] = east.api.list<Plan>('Plan');
  const isWhole = plan?.spec.destination === 'west' && migration?.spec.type === 'Cutover';
  if (plan === undefined || !isWhole) return [];
  const ran = new Set(data.hooks.filter((one) => one.migration === name).map(({ phase }) => phase));
  const left = (plan.spec.hooks ?? [])
    .filter(({ phase }) => !ran.has(phase))
    .map(({ phase }) => `hook ${phase} did not run`);
  const { repository, tag } = webImage;
  const [before, now] = [east, west].map((side) => side.registry.digestOf(repository, tag));
  const runs = JSON.stringify(west.api.find('Deployment', 'web', shop) ?? {});
  const isRewritten = runs.includes(`"registry.west/${repository}:${tag}"`);
  if (plan.spec.images !== 'Skip') {
    if (now !== before) left.push(`the image at west is ${now} and not ${before}`);
    if (!isRewritten) left.push('the image at west is not the one that is run');
  }
  return left;
}

function whereItRuns(
  world: MoveWorld,
  migration: Migration | undefined,
  { kind }: Trouble,
): readonly string[] {
  const isScaled = kind === 'scale';
  const type = migration?.spec.type;
  const isConversion = world.east.api
    .list<KubeObject & { spec: { type?: string } }>('Plan')
    .some(({ spec }) => spec.type === 'StorageConversion');
  const home = type === 'Cutover' && !isConversion ? 'west' : 'east';
  if (isOpen(world, home) || (isScaled && world.data.running('db', home) === 1)) return [];
  const counts = sides.map((side) => {
    return `${side} ${world.data.running('db', side)} ${world.data.running('web', side)}`;
  });
  return [`it does not run at ${home}: db and web are ${counts.join(', ')}`];
}

/** Claims and volumes with copies may stay for a next try; a person's own doing stays too. */
function asBefore(world: MoveWorld, ended: Ended) {
  const { before, wasOpen, trouble, migration } = ended;
  const isScaled = trouble.kind === 'scale';
  const left: string[] = [...overwritten(world, ended)];
  for (const side of sides) {
    const found = differences(before.get(side)!, pictureOf(world.side(side)));
    left.push(
      ...found
        .filter((line) => !(isScaled && line.startsWith('Deployment')))
        .filter((line) => !isKept(line, migration))
        .map((line) => `${side} ${line}`),
    );
    if (wasOpen.get(side) === true && !isScaled && !isOpen(world, side)) {
      left.push(`it does not run at ${side}`);
    }
  }
  return left;
}

/** Who goes back without the data later gets what was copied back by then, and has to know. */
function overwritten({ data }: MoveWorld, { old, migration }: Ended): readonly string[] {
  const isTold = migration?.status?.warnings?.some((one) => one.includes('copied back at'));
  if (isTold === true) return [];
  return [...old]
    .filter(([path, content]) => ![content, 'torn', undefined].includes(data.read(path)))
    .map(([path]) => `${path} has what was copied back, and nobody says so`);
}

function isKept(line: string, migration: Migration | undefined): boolean {
  // What an earlier stage had retained is put back as well.
  if (line.startsWith('Secret shop/transship-undo-retained') && line.includes(': gone'))
    return true;
  if (/^PersistentVolume .*: Delete .* instead of Retain/.test(line)) return true;
  // Its content is neither the old nor the new one any more, which has to be seen, and said.
  const isToldTorn = migration?.status?.warnings?.some((one) => /^Overwriting .*begun/.test(one));
  if (isToldTorn === true && migration?.spec.type === 'Rollback') {
    if (/^PersistentVolumeClaim .*transship.dev\/torn=.* instead of /.test(line)) return true;
  }
  // What cannot be listed may be there: then the namespace stays, and it says so.
  const isToldToStay = migration?.status?.warnings?.some((one) => one.startsWith('Namespace shop'));
  if (isToldToStay === true && /^(Namespace \/shop|ConfigMap shop\/kube-root-ca)/.test(line)) {
    return line.endsWith('instead of nothing');
  }
  if (migration?.spec.canceled === true && migration.spec.type !== 'Rollback') return false;
  // Claims with what was copied have to be somewhere.
  return (
    /^(PersistentVolume|Namespace \/shop|ConfigMap shop\/kube-root-ca)/.test(line) &&
    line.endsWith('instead of nothing')
  );
}
