/** A replication of the shop in the simulator: what people ask for, and what must be true then. */
import { type Replication, replications } from '../../src/api/kinds/replication.ts';
import type { VolumeTransfer } from '../../src/api/kinds/volume-transfer.ts';
import { isOver } from '../../src/controllers/replication/decide.ts';
import { Mismatch } from './model.ts';
import { type Before, checkCopy, checkGone, copyNamespace, isTidy } from './move-copying-check.ts';
import { hub, pictureOf, shop } from './move-shop.ts';
import type { Copying } from './move-story.ts';
import { ever, type Trouble } from './move-trouble.ts';
import { isAbout, patienceMs, troubledFor, until } from './move-until.ts';
import { type MoveWorld, sides } from './move-world.ts';

const key = { namespace: hub, name: 'copy' };
/** So often a person begins again before it is called hopeless. */
const triesMax = 6;
const tidyMs = 900_000;

function find({ east }: MoveWorld): Replication | undefined {
  return east.api.find<Replication>('Replication', key.name, hub);
}

const ask = ({ east }: MoveWorld, spec: object) => east.admin.patch(replications, key, { spec });

export async function tellCopying(
  world: MoveWorld,
  copying: Copying,
  trouble: Trouble,
): Promise<void> {
  const { data, east } = world;
  if (world.engine === undefined) world.startControllers();
  await world.scheduler.idle(2_000);
  data.isSandbox = (namespace) => namespace === copyNamespace;
  const pictures = new Map(sides.map((side) => [side, pictureOf(world.side(side))]));
  const remove = () => east.admin.delete(replications, key);
  world.onPlace = (place) => {
    if (place !== copying.deleteAt) return;
    world.scheduler.at(1, 'a person deletes it', () => {
      void remove().catch((error: Error) => world.fail(error));
    });
  };
  for (const [at, act] of copying.acts.entries()) {
    const before: Before = { pictures, newest: data.newest, copying };
    if (act === 'delete') await world.scheduler.drive(remove());
    else if (at === 0) await world.scheduler.drive(make(world, copying));
    else await world.scheduler.drive(ask(world, { run: (find(world)?.spec.run ?? 1) + 1 }));
    const isLast = at === copying.acts.length - 1;
    await follow(world, { before, trouble, isGoing: act === 'delete', isLast });
  }
}

async function make({ east }: MoveWorld, { spec }: Copying): Promise<void> {
  const namespaces = [{ name: shop, to: copyNamespace }];
  const both = { source: 'east', destination: 'west', namespaces, decision: 'Remediate' };
  await east.admin.create(replications, { metadata: key, spec: { ...both, ...spec } } as never);
}

interface Act {
  readonly before: Before;
  readonly trouble: Trouble;
  readonly isGoing: boolean;
  readonly isLast: boolean;
}

/** Until it is over, also when a person has to help, once nothing goes wrong any more. */
async function follow(world: MoveWorld, { before, trouble, isGoing, isLast }: Act): Promise<void> {
  world.trouble.resume();
  const hasEnded = () => {
    const one = find(world);
    if (one === undefined) return true;
    return !isGoing && one.metadata.deletionTimestamp === undefined && isAtRest(one);
  };
  await until(world, 'the replication', hasEnded, troubledFor(trouble));
  if (isLast && !isAbout(trouble, ' replications')) checkWords(find(world), trouble);
  world.trouble.end();
  const end = await resolve(world, isGoing);
  await until(world, 'helpers to go', () => false, 15_000);
  // What was refused is tried again, later each time.
  await until(world, 'the rest to go', () => isTidy(world), tidyMs);
  world.endings.push(`${isGoing ? 'copy-gone' : `copy-${before.copying.acts.length}`} ${end}`);
  if (find(world) === undefined) checkGone(world, before);
  else checkCopy(world, find(world)!, before);
}

/** Done, well or not, or halted by its checks; what it was asked for has begun. */
function isAtRest({ spec, status }: Replication): boolean {
  const isBegun = (spec.run ?? 1) <= (status?.run ?? 0);
  return isBegun && (isOver(status?.phase) || status?.phase === 'Halted') && !spec.decision;
}

/** A person looks at what it says, and answers or begins again. The reason of its end. */
async function resolve(world: MoveWorld, isGoing: boolean): Promise<string> {
  for (let tries = 0; ; tries++) {
    const hasEnded = () => {
      const one = find(world);
      const isLeaving = isGoing || one?.metadata.deletionTimestamp !== undefined;
      return one === undefined || (!isLeaving && isAtRest(one));
    };
    await until(world, 'a replication without trouble', hasEnded, patienceMs);
    const one = find(world);
    if (one === undefined) return 'Gone';
    const { status } = one;
    if (hasEnded() && status?.state === 'Success') return tries === 0 ? 'Success' : 'Repeated';
    if (!hasEnded() || tries >= triesMax) {
      const copies = world.east.api.list<VolumeTransfer>('VolumeTransfer');
      throw new Mismatch(`it does not end: ${JSON.stringify([status, copies], undefined, 1)}`);
    }
    const { phase, offers = [], run = 0 } = status ?? {};
    const decision = offers.includes('Remediate') ? 'Remediate' : 'Recheck';
    await world.scheduler.drive(ask(world, phase === 'Halted' ? { decision } : { run: run + 1 }));
    await until(world, 'it to be heard', () => find(world)?.spec.decision === undefined, 10_000);
  }
}

/** Whoever waits, halts or has failed says why, and names a right that is missing. */
function checkWords(one: Replication | undefined, trouble: Trouble): void {
  const { status, metadata } = one ?? {};
  const isFine = status?.state === 'Success' && metadata?.deletionTimestamp === undefined;
  if (one === undefined || isFine) return;
  const said = [
    ...(status?.conditions ?? []).map(({ message }) => message),
    ...(status?.checks ?? []).map(({ message }) => message),
  ].join('\n');
  // It may not even have been able to write that down.
  if (status === undefined) return;
  const isForbidden =
    trouble.kind === 'calls' &&
    trouble.how === 'forbidden' &&
    trouble.times >= ever &&
    // Who may not even read and tell our own kinds has nowhere to say so: condition Permitted does.
    !isAbout(trouble, ' registry') &&
    !isAbout(trouble, ' volumetransfers');
  const isTold = isForbidden ? said.includes('forbidden') : said.length > 10;
  if (isTold) return;
  throw new Mismatch(`it waits without a word: ${JSON.stringify(status, undefined, 1)}`);
}
