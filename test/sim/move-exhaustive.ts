/** `npm run sim -- --exhaustive`: every tale interrupted everywhere, to the end, with a summary. */
import { runOrders } from './crew.ts';
import type { Verdict } from './messages.ts';
import {
  again,
  type Interruption,
  interruptionsOf,
  plainStory,
  type Way,
  ways,
} from './move-every.ts';
import { lastChapterOf, type Story } from './move-story.ts';
import { storyBook } from './move-tales.ts';

const everyDone = 50;
const strides = 23;

export interface ExhaustiveOptions {
  readonly processes: number;
  /** All of the story book when absent. */
  readonly tales?: readonly string[] | undefined;
  readonly ways?: readonly string[] | undefined;
  /** One interruption in so many. */
  readonly oneIn: number;
  /** Left out at the beginning: an earlier run has told of them. */
  readonly from: number;
}

interface Tally {
  readonly started: number;
  readonly byWay: Map<string, number>;
  readonly byEnding: Map<string, number>;
  readonly failed: string[];
  done: number;
  /** Kills, failing calls and orders that came about, and that did not. */
  disturbed: number;
  missed: number;
}

/** Of failed interruptions. */
export async function interruptEverything(options: ExhaustiveOptions): Promise<number> {
  const tales = options.tales ?? Object.keys(storyBook);
  const tally: Tally = {
    started: Date.now(),
    byWay: new Map(),
    byEnding: new Map(),
    failed: [],
    done: 0,
    disturbed: 0,
    missed: 0,
  };
  const all = await surveyed(tales, options, tally);
  const queue = mixed(all.filter((_, at) => at % options.oneIn === 0)).slice(options.from);
  console.log(`${queue.length} runs of ${tales.join(', ')}`);
  await runAll(queue, options.processes, (one, verdict) => {
    count(tally, one, verdict);
    if (tally.done % everyDone === 0) console.log(progressOf(tally, queue.length));
    const rest = again(one, verdict.told?.missed ?? []);
    if (rest !== undefined) queue.push(rest);
  });
  console.log(summaryOf(tally));
  return tally.failed.length;
}

/** Something of everything comes early. */
function mixed<T>(all: readonly T[]): T[] {
  return Array.from({ length: strides }, (_, first) => {
    return all.filter((_one, at) => at % strides === first);
  }).flat();
}

/** What each tale asks for when nothing comes between. */
async function surveyed(
  tales: readonly string[],
  { processes, ways: wanted = ways }: ExhaustiveOptions,
  tally: Tally,
): Promise<readonly Interruption[]> {
  const found = new Map<string, readonly Interruption[]>();
  const queue = tales.map((tale) => ({ tale, name: 'nothing', story: plainStory(tale) }));
  await runAll(queue, processes, ({ tale, story }, { violation, told }) => {
    if (violation !== undefined) tell(tally, `${tale}, undisturbed`, story, violation);
    found.set(tale, told === undefined ? [] : interruptionsOf(tale, told.survey));
  });
  const all = tales.flatMap((tale) => found.get(tale) ?? []);
  const keys = new Set<string>();
  return all.filter(({ way, key }) => {
    const isNew = key === undefined || !keys.has(key);
    if (key !== undefined) keys.add(key);
    return isNew && wanted.includes(way);
  });
}

async function runAll<T extends { readonly story: Story }>(
  queue: readonly T[],
  processes: number,
  onVerdict: (one: T, verdict: Verdict) => void,
): Promise<void> {
  let begun = 0;
  const running = new Map<object, T>();
  const next = () => {
    const one = queue[begun];
    if (one === undefined) return undefined;
    begun += 1;
    const order = { seed: 0, mutant: undefined, story: one.story };
    running.set(order, one);
    return order;
  };
  await runOrders(processes, next, (verdict, order) => {
    const one = running.get(order)!;
    running.delete(order);
    onVerdict(one, verdict);
  });
}

function count(tally: Tally, one: Interruption, { violation, told }: Verdict): void {
  tally.done += 1;
  const { tale, way, name, story } = one;
  const add = (counts: Map<string, number>, key: string) =>
    counts.set(key, (counts.get(key) ?? 0) + 1);
  add(tally.byWay, way);
  // How the interrupted one ended, not what a person did about it afterwards.
  const last = lastChapterOf(story);
  const ending = told?.endings.find((text) => text.startsWith(`${last} `))?.split(' ')[1];
  add(tally.byEnding, ending ?? 'no end');
  if (violation !== undefined) return tell(tally, `${tale}, ${name}`, story, violation);
  const missed = told?.missed ?? [];
  const isLast = again(one, missed) === undefined;
  if (isLast && missed.length > 0) tally.missed += missed.length;
  tally.disturbed += sitesOf(story) - missed.length;
}

/** How many kills, failing calls or orders one run has. */
function sitesOf({ trouble }: Story): number {
  if (trouble.kind === 'kills') return trouble.effects.length;
  return trouble.kind === 'calls' ? trouble.calls.length : 1;
}

function tell(tally: Tally, name: string, story: Story, violation: string): void {
  tally.failed.push(name);
  console.log(`${name} FAILED: ${violation}`);
  console.log(`  replay: npm run sim -- --story '${JSON.stringify(story)}'`);
}

function progressOf({ done, failed, started }: Tally, all: number): string {
  const seconds = Math.round((Date.now() - started) / 1000);
  return `${done} of ${all} after ${seconds} s, ${failed.length} failed`;
}

function summaryOf(tally: Tally): string {
  const { done, failed, byWay, byEnding, disturbed, missed, started } = tally;
  const list = (counts: Map<string, number>) =>
    [...counts].map(([key, number]) => `${number} ${wordOf[key as Way] ?? key}`).join(', ');
  const minutes = ((Date.now() - started) / 60_000).toFixed(1);
  return [
    `${disturbed} interruptions in ${done} runs, ${minutes} minutes: ${list(byWay)}`,
    `${missed} others could not be brought about again`,
    `they ended: ${list(byEnding)}`,
    `${done - failed.length} passed, ${failed.length} failed, 0 skipped`,
  ].join('\n');
}

const wordOf: Readonly<Record<Way, string>> = {
  kill: 'of kills',
  once: 'of calls that fail once',
  refused: 'of a call that is refused once',
  forEver: 'of a call that fails for ever',
  cancel: 'of a cancel',
  pause: 'of a pause',
};
