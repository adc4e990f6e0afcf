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
import type { Story } from './move-story.ts';
import { storyBook } from './move-tales.ts';

const everyDone = 50;

export interface ExhaustiveOptions {
  readonly processes: number;
  /** All of the story book when absent. */
  readonly tales?: readonly string[] | undefined;
  readonly ways?: readonly string[] | undefined;
  /** One interruption in so many. */
  readonly oneIn: number;
}

interface Tally {
  readonly started: number;
  readonly byWay: Map<string, number>;
  readonly byEnding: Map<string, number>;
  readonly failed: string[];
  done: number;
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
  };
  const all = await surveyed(tales, options, tally);
  const queue = all.filter((_, at) => at % options.oneIn === 0);
  console.log(`${queue.length} interruptions of ${tales.join(', ')}`);
  await runAll(queue, options.processes, (one, verdict) => {
    count(tally, one, verdict);
    if (tally.done % everyDone === 0) console.log(progressOf(tally, queue.length));
    for (const missed of verdict.told?.missed ?? []) {
      const alone = again(one, missed);
      if (alone !== undefined) queue.push(alone);
    }
  });
  console.log(summaryOf(tally));
  return tally.failed.length;
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
  return all.filter(({ way }) => wanted.includes(way));
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
  const last = story.chapters.at(-1)!.name;
  const ending = told?.endings.find((text) => text.startsWith(`${last} `))?.split(' ')[1];
  add(tally.byEnding, ending ?? 'no end');
  if (violation !== undefined) return tell(tally, `${tale}, ${name}`, story, violation);
  const missed = told?.missed.filter((site) => again(one, site) === undefined) ?? [];
  if (missed.length > 0) add(tally.byWay, 'not');
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

function summaryOf({ done, failed, byWay, byEnding, started }: Tally): string {
  const notMet = byWay.get('not') ?? 0;
  byWay.delete('not');
  const list = (counts: Map<string, number>) =>
    [...counts].map(([key, number]) => `${number} ${wordOf[key as Way] ?? key}`).join(', ');
  const minutes = ((Date.now() - started) / 60_000).toFixed(1);
  return [
    `${done} interruptions in ${minutes} minutes: ${list(byWay)}`,
    `${notMet} of them did not come about, also alone`,
    `they ended: ${list(byEnding)}`,
    `${done - failed.length} passed, ${failed.length} failed, 0 skipped`,
  ].join('\n');
}

const wordOf: Readonly<Record<Way, string>> = {
  kill: 'runs with a kill at each place',
  once: 'runs with calls that fail once at each place',
  refused: 'single calls refused once',
  forEver: 'calls that fail for ever',
  cancel: 'cancels',
  pause: 'pauses',
};
