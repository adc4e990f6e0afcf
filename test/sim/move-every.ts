/** Everything that can come between in a tale: its last migration, interrupted in each way once. */
import type { Chapter, Story } from './move-story.ts';
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
  const last = told.chapters.at(-1)!;
  const own = (place: string) =>
    place.startsWith(`${last.name}/`) && told.places?.test(place) !== false;
  const places = [...survey.calls.keys()].filter(own);
  const { places: _, ...rest } = told;
  const begin: Begin = (way, name, trouble) => {
    return { tale, way, name, story: { ...rest, trouble } };
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
    ...orders.flatMap((place) => orderedAt(tale, told, last, place)),
  ];
}

type Begin = (way: Way, name: string, trouble: Story['trouble']) => Interruption;

/** Whoever goes on does so from the same state, so that one run has a kill at each place. */
function kills(survey: Survey, own: (place: string) => boolean, begin: Begin) {
  const counts = [...survey.effects].filter(([place]) => own(place));
  const most = Math.max(0, ...counts.map(([, count]) => count));
  return Array.from({ length: most }, (_, at) => {
    const number = at + 1;
    const effects = counts.filter(([, count]) => count >= number);
    return killed(
      effects.map(([place]) => ({ place, number })),
      begin,
    );
  });
}

function killed(effects: readonly EffectSite[], begin: Begin): Interruption {
  const name = `kill after ${effects.map(({ place, number }) => `effect ${number} of ${place}`)}`;
  return begin('kill', name, { kind: 'kills', effects, ms: 1_000 });
}

/** What passes leaves the run as it was, so that one run has a failing call at each place. */
function onceEach(sites: readonly (readonly CallSite[])[], begin: Begin): readonly Interruption[] {
  const most = Math.max(0, ...sites.map(({ length }) => length));
  return Array.from({ length: most }, (_, at) => {
    const calls = sites.flatMap((own) => own[at] ?? []);
    return onceFailing(calls, passing[at % passing.length]!, begin);
  });
}

function onceFailing(calls: readonly CallSite[], how: Refusal | 'lost', begin: Begin) {
  const name = `${how} once: ${calls.map(({ place, call }) => `${call} at ${place}`).join(', ')}`;
  return begin('once', name, { kind: 'calls', calls, times: 1, how });
}

/** What a run of many did not come to, alone; undefined: it was alone. */
export function again(
  { tale, story }: Interruption,
  missed: CallSite | EffectSite,
): Interruption | undefined {
  const { trouble } = story;
  const alone: Begin = (way, name, own) => ({ tale, way, name, story: { ...story, trouble: own } });
  if (trouble.kind === 'kills' && 'number' in missed) {
    return trouble.effects.length === 1 ? undefined : killed([missed], alone);
  }
  if (trouble.kind !== 'calls' || trouble.calls.length === 1 || !('call' in missed)) {
    return undefined;
  }
  return onceFailing([missed], trouble.how, alone);
}

const isRead = ({ call }: CallSite): boolean => call.includes(' GET ');

/** What is not tried again ends the run: one for each change and for a look at each place. */
function refusedOnce(
  sites: readonly (readonly CallSite[])[],
  begin: Begin,
): readonly Interruption[] {
  const some = sites.flatMap((own) => [
    ...own.filter((site) => !isRead(site)),
    ...own.filter(isRead).slice(0, 1),
  ]);
  return some.map((site, at) => {
    const how = !isRead(site) && at % 2 === 0 ? 'conflict' : 'forbidden';
    const name = `${how} once: ${site.call} at ${site.place}`;
    return begin('refused', name, { kind: 'calls', calls: [site], times: 1, how });
  });
}

/** Changes from each place on; looks, which steps have in common, from one place each. */
function forEver(sites: readonly CallSite[], begin: Begin): readonly Interruption[] {
  const byCall = Map.groupBy(sites, ({ call }) => call);
  const all = [...byCall.values()].flatMap((own, at) => {
    return isRead(own[0]!) ? [own[at % own.length]!] : own;
  });
  return all.map((site, at) => {
    const how = lasting[at % lasting.length]!;
    const name = `${how} for ever: ${site.call} from ${site.place} on`;
    return begin('forEver', name, { kind: 'calls', calls: [site], times: ever, how });
  });
}

function orderedAt(
  tale: string,
  told: Tale,
  last: Chapter,
  place: string,
): readonly Interruption[] {
  const { places: _, ...rest } = told;
  const before = told.chapters.slice(0, -1);
  const begin = (way: Way, change: Partial<Chapter>): Interruption => {
    const chapters = [...before, { ...last, ...change }];
    const story: Story = { ...rest, chapters, trouble: { kind: 'none' } };
    return { tale, way, name: `${way} at ${place}`, story };
  };
  const pause = begin('pause', { pauseAt: place });
  return last.cancelAt === undefined ? [begin('cancel', { cancelAt: place }), pause] : [pause];
}
