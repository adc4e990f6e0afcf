/** Runs the cases of the controllers on fleets over one or both kinds of API servers. */
import { FleetContext } from './context.ts';
import type { FleetCase } from './case.ts';
import { claimCases } from './claims.ts';
import { type Fleet, obstacle, type Side, startFleet } from './fleet.ts';
import { teleportCases } from './teleports.ts';

export const fleetSuites: readonly (readonly [group: string, cases: readonly FleetCase[]])[] = [
  ['controllers: claims', claimCases],
  ['controllers: teleports', teleportCases],
];

export interface FleetTally {
  passed: number;
  failed: number;
  skipped: number;
}

const atOnce = 4;
const caseMs = 110_000;

/** Prints what failed, and one line for each group. */
export async function runFleets(
  sides: readonly Side[],
  word: string | undefined,
): Promise<FleetTally> {
  const tally: FleetTally = { passed: 0, failed: 0, skipped: 0 };
  for (const side of sides) {
    const chosen = fleetSuites.map(([group, all]) => {
      const fits = (one: FleetCase) => word === undefined || `${group}: ${one.name}`.includes(word);
      return [group, all.filter(fits)] as const;
    });
    const total = chosen.reduce((sum, [, all]) => sum + all.length, 0);
    if (total === 0) continue;
    const reason = obstacle(side);
    if (reason !== undefined) {
      console.log(`skipped controllers on ${side}: ${reason}`);
      tally.skipped += total;
      continue;
    }
    const started = performance.now();
    const fleet = await startFleet(side);
    const ready = performance.now();
    try {
      for (const [group, all] of chosen) await runGroup(fleet, group, all, tally);
    } finally {
      await fleet.close();
    }
    const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(1);
    const took = seconds(ready, performance.now());
    console.log(`controllers on ${side}: started in ${seconds(started, ready)} s, took ${took} s`);
  }
  return tally;
}

async function runGroup(
  fleet: Fleet,
  group: string,
  all: readonly FleetCase[],
  tally: FleetTally,
): Promise<void> {
  let failed = 0;
  const run = async (one: FleetCase): Promise<void> => {
    const error = await runOne(fleet, group, one);
    if (error === undefined) return void (tally.passed += 1);
    failed += 1;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    console.log(`FAILED ${fleet.side} ${group}: ${one.name}\n${text.replace(/^/gm, '    ')}`);
    return undefined;
  };
  const together = all.filter(({ alone }) => !alone).values();
  const worker = async (): Promise<void> => {
    for (const one of together) await run(one);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  for (const one of all.filter(({ alone }) => alone)) await run(one);
  tally.failed += failed;
  const note = failed > 0 ? ` (${failed} failed)` : '';
  console.log(`${group}: ${all.length} cases on ${fleet.side}${note}`);
}

async function runOne(fleet: Fleet, group: string, one: FleetCase): Promise<unknown> {
  const number = fleetSuites.findIndex(([name]) => name === group);
  const index = fleetSuites[number]![1].indexOf(one);
  const context = new FleetContext(fleet, `case-${number}-${index}`);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not over in ${caseMs / 1000} s`)), caseMs);
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
