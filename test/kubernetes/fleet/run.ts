/** Runs the cases of the controllers on fleets over one or both kinds of API servers. */
import { secondLooksMax, unsteadyLine } from '../../second.ts';
import { addTallies, closingLine } from '../../tally.ts';
import type { Part } from '../part.ts';
import { FleetContext } from './context.ts';
import { type FleetCase, SkippedCase } from './case.ts';
import { claimCases } from './claims.ts';
import { type Fleet, obstacle, type Side, startFleet } from './fleet.ts';
import { dayCases } from './days.ts';
import { directoryCases } from './directories.ts';
import { extraCases } from './extras.ts';
import { hundredCases } from './hundred.ts';
import { moverCases } from './movers.ts';
import { journeyCases } from './journeys.ts';
import { migrationCases } from './migrations.ts';
import { replicaCases } from './replicas.ts';
import { replicationCases } from './replications.ts';
import { repositoryCases } from './repositories.ts';
import { rightCases } from './rights.ts';
import { teleportCases } from './teleports.ts';
import { transferCases } from './transfers.ts';

export const fleetSuites: readonly (readonly [group: string, cases: readonly FleetCase[]])[] = [
  ['controllers: claims', claimCases],
  ['node: directories', directoryCases],
  ['controllers: movers', moverCases],
  ['controllers: repositories', repositoryCases],
  ['controllers: teleports', teleportCases],
  ['controllers: transfers', transferCases],
  ['migrations: namespaces', migrationCases],
  ['migrations: worse days', journeyCases],
  ['migrations: images and hooks', extraCases],
  ['controllers: replications', replicationCases],
  ['controllers: bad days', dayCases],
  ['controllers: rights', rightCases],
  ['controllers: a hundred', hundredCases],
  ['controllers: replicas', replicaCases],
];

export interface FleetTally {
  passed: number;
  failed: number;
  skipped: number;
}

const atOnce = 4;
const caseMs = 110_000;
const longCaseMs = 300_000;

type Chosen = readonly (readonly [group: string, cases: readonly FleetCase[]])[];

/** Prints what failed, one line for each group and one for each side. `word`: of group or name. */
export async function runFleets(
  parts: readonly Part[],
  word: string | undefined,
): Promise<FleetTally> {
  const tallies: FleetTally[] = [];
  for (const { side, short, long } of parts) {
    const chosen: Chosen = fleetSuites.map(([group, all]) => {
      const fits = (one: FleetCase) =>
        (one.long ? long : short) &&
        (one.only ?? side) === side &&
        (word === undefined || `${group}: ${one.name}`.includes(word));
      return [group, all.filter(fits)] as const;
    });
    if (chosen.some(([, all]) => all.length > 0)) tallies.push(await runSide(side, chosen));
  }
  return addTallies(tallies);
}

async function runSide(side: Side, chosen: Chosen): Promise<FleetTally> {
  const tally: FleetTally = { passed: 0, failed: 0, skipped: 0 };
  const reason = obstacle(side);
  if (reason !== undefined) {
    console.log(`skipped controllers on ${side}: ${reason}`);
    return { ...tally, skipped: chosen.reduce((sum, [, all]) => sum + all.length, 0) };
  }
  const started = performance.now();
  const fleet = await startFleet(side);
  const ready = performance.now();
  try {
    const failed: Failed[] = [];
    for (const [group, all] of chosen) failed.push(...(await runGroup(fleet, group, all, tally)));
    await lookAgain(fleet, failed, tally);
  } finally {
    await fleet.close();
  }
  const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(1);
  const took = seconds(ready, performance.now());
  console.log(`controllers on ${side}: started in ${seconds(started, ready)} s, took ${took} s`);
  console.log(`controllers on ${side}: ${closingLine(tally)}`);
  return tally;
}

interface Failed {
  readonly group: string;
  readonly one: FleetCase;
}

/** What failed beside others, by itself. */
async function lookAgain(fleet: Fleet, all: readonly Failed[], tally: FleetTally): Promise<void> {
  if (all.length > secondLooksMax) return;
  for (const { group, one } of all) {
    const error = await runOne(fleet, group, one, '-again');
    if (error !== undefined) {
      console.log(`FAILED by itself, too: ${one.name}\n${textOf(error)}`);
      continue;
    }
    console.log(unsteadyLine(`${fleet.side} ${group}: ${one.name}`));
    tally.failed -= 1;
    tally.passed += 1;
  }
}

function textOf(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return text.replace(/^/gm, '    ');
}

/** Those that failed. */
async function runGroup(
  fleet: Fleet,
  group: string,
  all: readonly FleetCase[],
  tally: FleetTally,
): Promise<readonly Failed[]> {
  if (all.length === 0) return [];
  const failed: Failed[] = [];
  const run = async (one: FleetCase): Promise<void> => {
    const started = performance.now();
    const error = await runOne(fleet, group, one, '');
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    if (one.long) console.log(`${fleet.side} ${group}: ${one.name}: ${seconds} s`);
    if (error === undefined) return void (tally.passed += 1);
    if (error instanceof SkippedCase) {
      console.log(`skipped on ${fleet.side}: ${one.name}: ${error.message}`);
      return void (tally.skipped += 1);
    }
    failed.push({ group, one });
    console.log(`FAILED ${fleet.side} ${group}: ${one.name}\n${textOf(error)}`);
    return undefined;
  };
  const together = all.filter(({ alone }) => !alone).values();
  const worker = async (): Promise<void> => {
    for (const one of together) await run(one);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  for (const one of all.filter(({ alone }) => alone)) await run(one);
  tally.failed += failed.length;
  const note = failed.length > 0 ? ` (${failed.length} failed)` : '';
  console.log(`${group}: ${all.length} cases on ${fleet.side}${note}`);
  return failed;
}

/** `suffix`: of its namespaces, where an earlier attempt may have left something. */
async function runOne(
  fleet: Fleet,
  group: string,
  one: FleetCase,
  suffix: string,
): Promise<unknown> {
  const number = fleetSuites.findIndex(([name]) => name === group);
  const index = fleetSuites[number]![1].indexOf(one);
  const context = new FleetContext(fleet, `case-${number}-${index}${suffix}`);
  const late = Promise.withResolvers<never>();
  const ms = one.long ? longCaseMs : caseMs;
  const timer = setTimeout(() => late.reject(new Error(`not over in ${ms / 1000} s`)), ms);
  try {
    await context.makeNamespaces();
    await Promise.race([one.run(context), late.promise]);
    return undefined;
  } catch (error) {
    return error ?? new Error('failed with nothing');
  } finally {
    clearTimeout(timer);
  }
}
