/** Everything that can come between in a tale: its last migration, interrupted in each way once. */
import { type Chapter, lastChapterOf, type Story } from './move-story.ts';
import { type CallSite, type EffectSite, ever, type Refusal, type Survey } from './move-trouble.ts';
import { storyBook, type Tale } from './move-tales.ts';

export const ways = ['kill', 'once', 'refused', 'forEver', 'cancel', 'pause'] as const;
export type Way = (typeof ways)[number];

export interface Interruption {
  readonly tale: string;
  readonly way: Way;
  /** For people. */
  readonly name: string;
  readonly story: Story;
  /** The same in two tales: one of them is enough. */
  readonly key?: string;
}

/** What a client tries again. */
const passing = ['unreachable', 'failed', 'busy', 'lost'] as const;
const lasting = ['unreachable', 'forbidden'] as const;

export function plainStory(tale: string): Story {
  const { places: _, ...rest } = taleOf(tale);
  return { ...rest, trouble: { kind: 'none' } };
}

function taleOf(tale: string): Tale {
  const found = storyBook[tale];
  if (found === undefined) {
    throw new Error(`there is no tale ${tale}: name some of ${Object.keys(storyBook).join(', ')}`);
  }
  return found;
}

/** All of one tale, given what it does when nothing comes between. */
export function interruptionsOf(tale: string, survey: Survey): readonly Interruption[] {
  const told = taleOf(tale);
  const last = lastChapterOf(told);
  const own = (place: string) => place.startsWith(`${last}/`) && told.places?.test(place) !== false;
  const places = [...survey.calls.keys()].filter(own);
  const { places: _, ...rest } = told;
  let found = 0;
  const begin: Begin = (way, name, trouble, key) => {
    found += 1;
    const onFailure = way === 'refused' && found % 2 === 0 ? 'Pause' : 'RollBack';
    const plan = { onFailure, ...rest.plan } as const;
    const one = { tale, way, name, story: { ...rest, plan, trouble } };
    return key === undefined ? one : { ...one, key };
  };
  const sites = places.map((place) =>
    [...survey.calls.get(place)!].map((call) => ({ place, call })),
  );
  const orders = places.filter((place) => !/\/(begin|over|undo .*)$/.test(place));
  return [
    ...kills(survey, own, begin),
    ...onceEach(sites, begin),
    ...refusedOnce(sites, begin),
    ...forEver(sites.flat(), begin),
    ...orders.flatMap((place) => orderedAt(tale, told, place)),
  ];
}

type Begin = (way: Way, name: string, trouble: Story['trouble'], key?: string) => Interruption;

const stepOf = ({ place }: CallSite): string => place.slice(place.indexOf('/') + 1);

/** A way back has steps of its own; all others share theirs. */
const kindOf = ({ place }: CallSite): string => (place.startsWith('back/') ? 'back' : 'there');

/** Of the effects and calls of each place as many are disturbed in one run. */
const share = 8;

/** Every `share`th of all, beginning with the one of that number. */
function everyFrom<T>(all: readonly T[], first: number): readonly T[] {
  return all.filter((_, at) => at % share === first);
}

/** Whoever goes on does so from the same state, so that one run has many kills. */
function kills(survey: Survey, own: (place: string) => boolean, begin: Begin) {
  const sites = [...survey.effects]
    .filter(([place]) => own(place))
    .map(([place, count]) => Array.from({ length: count }, (_, at) => ({ place, number: at + 1 })));
  return Array.from({ length: share }, (_, first) => {
    return sites.flatMap((all) => everyFrom(all, first));
  })
    .filter(({ length }) => length > 0)
    .map((effects) => killed(effects, begin));
}

function killed(effects: readonly EffectSite[], begin: Begin): Interruption {
  const name = `kill after ${effects.map(({ place, number }) => `effect ${number} of ${place}`)}`;
  return begin('kill', name, { kind: 'kills', effects, ms: 1_000 });
}

/** What passes leaves the run as it was, so that one run has many failing calls. */
function onceEach(sites: readonly (readonly CallSite[])[], begin: Begin): readonly Interruption[] {
  const runs = Array.from({ length: share }, (_, first) => {
    return sites.flatMap((all) => everyFrom(all, first));
  });
  const changes = sites.flat().filter(({ call }) => call.includes(' PATCH '));
  return [
    ...runs.map((calls, at) => onceFailing(calls, passing[at % passing.length]!, begin)),
    onceFailing(changes, 'conflict', begin),
  ].filter(({ story: { trouble } }) => trouble.kind === 'calls' && trouble.calls.length > 0);
}

function onceFailing(calls: readonly CallSite[], how: Refusal | 'lost', begin: Begin) {
  const name = `${how} once: ${calls.map(({ place, call }) => `${call} at ${place}`).join(', ')}`;
  return begin('once', name, { kind: 'calls', calls, times: 1, how });
}

/** What a run of many did not come to; undefined: it came to nothing of it. */
export function again(
  { tale, story }: Interruption,
  missed: readonly (CallSite | EffectSite)[],
): Interruption | undefined {
  const { trouble } = story;
  const begin: Begin = (way, name, own) => ({ tale, way, name, story: { ...story, trouble: own } });
  if (trouble.kind === 'kills') {
    const effects = missed.filter((site) => 'number' in site);
    const isLess = effects.length < trouble.effects.length && effects.length > 0;
    return isLess ? killed(effects, begin) : undefined;
  }
  if (trouble.kind !== 'calls') return undefined;
  const calls = missed.filter((site) => 'call' in site);
  const isLess = calls.length < trouble.calls.length && calls.length > 0;
  return isLess ? onceFailing(calls, trouble.how, begin) : undefined;
}

const isRead = ({ call }: CallSite): boolean => call.includes(' GET ');

/**
 * What is not tried again ends the run, or pauses it where the plan says so: each kind of change
 * once, and a look at each place.
 */
function refusedOnce(
  sites: readonly (readonly CallSite[])[],
  begin: Begin,
): readonly Interruption[] {
  const looks = sites.flatMap((own) => own.filter(isRead).slice(0, 1));
  const changes = oneOfEach(sites.flat().filter((site) => !isRead(site)));
  return [...looks, ...changes].map((site) => {
    const name = `forbidden once: ${site.call} at ${site.place}`;
    const key = `refused ${isRead(site) ? stepOf(site) : `${site.call} ${kindOf(site)}`}`;
    return begin(
      'refused',
      name,
      { kind: 'calls', calls: [site], times: 1, how: 'forbidden' },
      key,
    );
  });
}

/** Each call at one of its places, another one for each. */
function oneOfEach(sites: readonly CallSite[]): readonly CallSite[] {
  const byCall = Map.groupBy(sites, ({ call }) => call);
  return [...byCall.values()].map((own, at) => own[at % own.length]!);
}

function forEver(sites: readonly CallSite[], begin: Begin): readonly Interruption[] {
  return oneOfEach(sites).map((site, at) => {
    const how = lasting[at % lasting.length]!;
    const name = `${how} for ever: ${site.call} from ${site.place} on`;
    const key = `for ever ${site.call} ${kindOf(site)}`;
    return begin('forEver', name, { kind: 'calls', calls: [site], times: ever, how }, key);
  });
}

function orderedAt(tale: string, told: Tale, place: string): readonly Interruption[] {
  const { places: _, ...rest } = told;
  const last = told.chapters.at(-1);
  if (last === undefined) return deletedAt(tale, rest, place);
  const before = told.chapters.slice(0, -1);
  const begin = (way: Way, change: Partial<Chapter>): Interruption => {
    const chapters = [...before, { ...last, ...change }];
    const story: Story = { ...rest, chapters, trouble: { kind: 'none' } };
    return { tale, way, name: `${way} at ${place}`, story };
  };
  const pause = begin('pause', { pauseAt: place });
  return last.cancelAt === undefined ? [begin('cancel', { cancelAt: place }), pause] : [pause];
}

/** Nobody pauses a replication: whoever does not want it any more deletes it. */
function deletedAt(tale: string, told: Tale, place: string): readonly Interruption[] {
  const { copying } = told;
  if (copying === undefined || copying.acts.includes('delete')) return [];
  const story: Story = {
    ...told,
    copying: { ...copying, deleteAt: place },
    trouble: { kind: 'none' },
  };
  return [{ tale, way: 'cancel', name: `deleted at ${place}`, story }];
}
