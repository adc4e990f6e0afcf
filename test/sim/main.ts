/**
 * The simulator: `npm run sim -- [--seed N] [--minutes M | --schedules N] [--mutants] [--trace]`.
 * `--only engine,teleport,control,replica` explores seeds of these kinds alone, `--only migration`
 * those of migrations, of which there are else only a few. `--exhaustive` interrupts every tale of
 * migrations everywhere (`--tales cutover,back --ways kill,once --one-in 10`: some of it;
 * `--from 500` goes on where a run was cut short), and `--story JSON` replays one.
 * Without `--seed` it begins at a seed of the day; a failing seed is printed with its command.
 */
import { parseArgs } from 'node:util';
import { runOrders } from './crew.ts';
import type { Order, Verdict } from './messages.ts';
import { interruptEverything } from './move-exhaustive.ts';
import { runMove } from './move-run.ts';
import type { Story } from './move-story.ts';
import { allMutants, killsFrom, kindOf, migrationsFrom, runAny } from './schedules.ts';
import { withStray } from './stray.ts';

const processes = 2;
const traceLines = 60;
const mutantSchedules = 120;
const failuresMax = 5;
const everything = 'engine,teleport,control,replica';
/** Migrations take long: so many are tried beside whatever else is, and so many of their deaths. */
const migrationsBeside = 4;
const killsBeside = 4;
/** More effects than any cutover has. */
const effectsMax = 190;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string' },
    schedules: { type: 'string' },
    only: { type: 'string', default: everything },
    exhaustive: { type: 'boolean', default: false },
    tales: { type: 'string' },
    ways: { type: 'string' },
    'one-in': { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    story: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  if (values.mutants) return huntMutants();
  const bounded = values.minutes !== undefined || values.schedules !== undefined;
  if (values.exhaustive) return exhaust();
  if (values.story !== undefined) return replay(0, JSON.parse(values.story) as Story);
  if (values.seed !== undefined && !bounded) return replay(Number(values.seed));
  return explore();
}

async function replay(seed: number, story?: Story): Promise<number> {
  const lines: string[] = [];
  const onEvent = (label: string, nowMs: number) => {
    lines.push(`${nowMs.toFixed(3)} ${label}`);
  };
  const { result, stray } = await withStray(() => {
    return story === undefined ? runAny({ seed, onEvent }) : runMove({ seed, story, onEvent });
  });
  const { violation = stray } = result;
  console.log((values.trace ? lines : lines.slice(-traceLines)).join('\n'));
  for (const message of result.messages.slice(values.trace ? 0 : -10))
    console.log(`log: ${message}`);
  if (violation === undefined) {
    console.log(`seed ${seed}: nothing is wrong (trace ${result.traceHash})`);
    return 0;
  }
  console.log(violation, violation instanceof Error ? violation.cause : '');
  return 1;
}

/** The seeds from `first` on of the kinds that are wanted. */
function* seedsFrom(first: number): Generator<number, never> {
  const kinds = new Set(values.only.split(','));
  const seeds = Array.from({ length: 8 }, (_, i) => first + i);
  if (!seeds.some((seed) => kinds.has(kindOf(seed)))) {
    throw new Error(
      `--only ${values.only}: name some of engine, teleport, control and replica, or migration`,
    );
  }
  for (let seed = first; ; seed += 1) {
    if (kinds.has(kindOf(seed))) yield seed;
  }
}

/** Of migrations: chosen by the first seed, so that a run can be repeated. */
function migrationSeeds(first: number): readonly number[] {
  const count = (number: number) => Array.from({ length: number }, (_, at) => at);
  const part = first % migrationsFrom;
  const stories = count(migrationsBeside).map((at) => migrationsFrom + part + at);
  const kills = count(killsBeside).map((at) => {
    return killsFrom + 1 + ((part + Math.floor((at * effectsMax) / killsBeside)) % effectsMax);
  });
  return [...stories, ...kills];
}

/** New seeds until the time or the number is reached; the first two run twice. */
async function explore(): Promise<number> {
  const first = firstSeed();
  const schedules = Number(values.schedules ?? Number.POSITIVE_INFINITY);
  const minutes = Number(values.minutes ?? (values.schedules === undefined ? 1 : 60));
  const started = Date.now();
  const seeds = seedsFrom(first);
  const [one, two] = [seeds.next().value, seeds.next().value];
  const beside = values.only === everything ? migrationSeeds(first) : [];
  const queue = [one, one, two, two, ...beside];
  let begun = 0;
  return judge(first, (failures) => {
    const late = Date.now() - started > minutes * 60_000;
    if (late || begun >= schedules || failures >= failuresMax) return undefined;
    begun += 1;
    return { seed: queue.shift() ?? seeds.next().value, mutant: undefined };
  });
}

function firstSeed(): number {
  const chosen = Number(values.seed ?? Math.floor(Date.now() / 1000) % 1_000_000_000);
  return values.only === 'migration' && chosen < migrationsFrom ? chosen + migrationsFrom : chosen;
}

async function exhaust(): Promise<number> {
  const failed = await interruptEverything({
    processes,
    tales: values.tales?.split(','),
    ways: values.ways?.split(','),
    oneIn: Number(values['one-in']),
    from: Number(values.from),
  });
  return failed === 0 ? 0 : 1;
}

/** Runs what it is told to, and says what came of it. */
async function judge(
  first: number,
  next: (failures: number) => Order | undefined,
): Promise<number> {
  const started = Date.now();
  const failed: Verdict[] = [];
  const hashes = new Map<number, string>();
  let done = 0;
  let events = 0;
  const order = () => next(failed.length);
  await runOrders(processes, order, (verdict) => {
    done += 1;
    events += Math.max(0, verdict.events);
    const known = hashes.get(verdict.seed) ?? verdict.traceHash;
    hashes.set(verdict.seed, verdict.traceHash);
    if (verdict.violation !== undefined) report(verdict);
    else if (known !== verdict.traceHash) report({ ...verdict, violation: 'not deterministic' });
    else return;
    failed.push(verdict);
  });
  const seconds = (Date.now() - started) / 1000;
  const rate = (done / seconds).toFixed(1);
  console.log(`seeds from ${first}: ${done} schedules, ${events} events, ${rate} schedules/s`);
  console.log(`${done - failed.length} passed, ${failed.length} failed, 0 skipped`);
  return failed.length > 0 ? 1 : 0;
}

function report({ seed, violation }: Verdict): void {
  console.log(`seed ${seed} FAILED: ${violation}\n  replay: npm run sim -- --seed ${seed}`);
}

/** Every mutant must be caught by some schedule. */
async function huntMutants(): Promise<number> {
  const only = Object.entries(allMutants);
  const caught = new Map<string, number>();
  const tried = new Map<string, number>();
  const next = (): Order | undefined => {
    for (const [mutant] of only) {
      const seed = (tried.get(mutant) ?? 0) + 1;
      if (caught.has(mutant) || seed > mutantSchedules) continue;
      tried.set(mutant, seed);
      return { seed, mutant };
    }
    return undefined;
  };
  await runOrders(processes, next, (verdict, { mutant = '' }) => {
    if (verdict.violation === undefined || caught.has(mutant)) return;
    caught.set(mutant, verdict.seed);
    const [line] = verdict.violation.split('\n');
    console.log(`${mutant}: caught by seed ${verdict.seed}: ${line}`);
  });
  for (const [name, { promise }] of only) {
    if (!caught.has(name)) console.log(`${name}: NOT CAUGHT (it breaks: ${promise})`);
  }
  console.log(`${caught.size} passed, ${only.length - caught.size} failed, 0 skipped`);
  return caught.size < only.length ? 1 : 0;
}

process.exitCode = await main();
