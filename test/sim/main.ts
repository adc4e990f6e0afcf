/**
 * The simulator: `npm run sim -- [--seed N] [--minutes M | --schedules N] [--mutants] [--trace]`.
 * `--only engine,teleport,control` explores seeds of these kinds alone.
 * Without `--seed` it begins at a seed of the day; a failing seed is printed with its command.
 */
import { parseArgs } from 'node:util';
import { runOrders } from './crew.ts';
import type { Order, Verdict } from './messages.ts';
import { allMutants, kindOf, runAny } from './schedules.ts';
import { withStray } from './stray.ts';

const processes = 2;
const traceLines = 60;
const mutantSchedules = 120;
const failuresMax = 5;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string' },
    schedules: { type: 'string' },
    only: { type: 'string', default: 'engine,teleport,control' },
    mutants: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  if (values.mutants) return huntMutants();
  const bounded = values.minutes !== undefined || values.schedules !== undefined;
  if (values.seed !== undefined && !bounded) return replay(Number(values.seed));
  return explore();
}

async function replay(seed: number): Promise<number> {
  const lines: string[] = [];
  const onEvent = (label: string, nowMs: number) => {
    lines.push(`${nowMs.toFixed(3)} ${label}`);
  };
  const { result, stray } = await withStray(() => runAny({ seed, onEvent }));
  const { violation = stray } = result;
  console.log((values.trace ? lines : lines.slice(-traceLines)).join('\n'));
  for (const message of result.messages.slice(-10)) console.log(`log: ${message}`);
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
    throw new Error(`--only ${values.only}: name some of engine, teleport and control`);
  }
  for (let seed = first; ; seed += 1) {
    if (kinds.has(kindOf(seed))) yield seed;
  }
}

/** New seeds until the time or the number is reached; the first two run twice. */
async function explore(): Promise<number> {
  const first = Number(values.seed ?? Math.floor(Date.now() / 1000) % 1_000_000_000);
  const schedules = Number(values.schedules ?? Number.POSITIVE_INFINITY);
  const minutes = Number(values.minutes ?? (values.schedules === undefined ? 1 : 60));
  const started = Date.now();
  const seeds = seedsFrom(first);
  const [one, two] = [seeds.next().value, seeds.next().value];
  const queue = [one, one, two, two];
  const failed: Verdict[] = [];
  const hashes = new Map<number, string>();
  let done = 0;
  let events = 0;
  const next = (): Order | undefined => {
    const late = Date.now() - started > minutes * 60_000;
    if (late || done >= schedules || failed.length >= failuresMax) return undefined;
    return { seed: queue.shift() ?? seeds.next().value, mutant: undefined };
  };
  await runOrders(processes, next, (verdict) => {
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
