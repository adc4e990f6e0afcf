// Two real clusters of one node each, with Transship in them, and what users do there:
//   npm run e2e                 all stories, in order
//   npm run e2e -- -t replica   those with this in their names, and the first, which all need
//   npm run e2e -- --keep       leaves them running until Ctrl-C, and says how to reach them
//   npm run e2e -- --second     once more, with new clusters, when it fails (.ci/run)
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Available, ensureBinaries } from '../../tools/kubernetes/binaries.ts';
import { unsteadyLine } from '../second.ts';
import { closingLine } from '../tally.ts';
import { obstacleToMachine } from './cluster/obstacle.ts';
import { leftovers } from './leftovers.ts';
import { saveLogs } from './logs.ts';
import { Report } from './report.ts';
import { allStories } from './stories.ts';
import { takeTurn } from './turn.ts';
import { NoClusters, programs, startWorld, Undo, type World } from './world.ts';

const { values: flags } = parseArgs({
  options: {
    keep: { type: 'boolean', default: false },
    second: { type: 'boolean', default: false },
    test: { type: 'string', short: 't', multiple: true, default: [] },
  },
});
const words = flags.test;
/** Several times what it takes: a run that hangs is a failure, and says where. */
const minutesMax = 25;
const stories = allStories.filter(({ name }, index) => {
  return index === 0 || words.length === 0 || words.some((word) => name.includes(word));
});

async function main(): Promise<void> {
  const reason = obstacleToMachine();
  if (reason !== undefined) return skip(reason);
  const binaries = await ensureBinaries(programs);
  if (!binaries.available) return skip(binaries.reason);
  const endTurn = await takeTurn(() => console.log('waiting for another run of e2e to end'));
  let { failed, why } = await runOnce(binaries);
  if (failed > 0 && flags.second) {
    console.log('\nonce more, with new clusters');
    ({ failed, why } = await runOnce(binaries));
    if (failed === 0) console.log(unsteadyLine('e2e'));
  }
  endTurn();
  if (flags.second && why instanceof NoClusters) return skip(textOf(why));
  console.log(closingLine({ passed: stories.length - failed, failed, skipped: 0 }));
  process.exitCode = failed === 0 ? 0 : 1;
}

interface Ended {
  /** How many stories. */
  readonly failed: number;
  /** Undefined when the stories could begin. */
  readonly why?: unknown;
}

async function runOnce(binaries: Available): Promise<Ended> {
  const directory = mkdtempSync(join(tmpdir(), 'transship-e2e-'));
  const report = new Report();
  const undo = new Undo();
  const stayHere = endWithUs(undo, directory);
  const late = flags.keep ? undefined : setTimeout(() => endLate(undo), minutesMax * 60_000);
  let failed = stories.length;
  let why: unknown;
  try {
    const world = await startWorld({ directory, binaries, report, undo });
    failed = await tell(world, report);
    if (failed > 0) console.log(`logs: ${await saveLogs(world)}`);
    if (flags.keep) await keep(world);
  } catch (error) {
    console.log(`FAILED the clusters\n${textOf(error)}`);
    why = error;
  } finally {
    clearTimeout(late);
    await undo.run();
    stayHere();
    for (const one of await leftovers(directory)) {
      console.log(`FAILED to leave nothing: ${one}`);
      failed = Math.max(1, failed);
    }
    rmSync(directory, { recursive: true, force: true });
  }
  report.print();
  return { failed, why };
}

/** What waits for the clusters then fails, and says for what. */
function endLate(undo: Undo): void {
  console.log(`not over in ${minutesMax} minutes: the clusters are ended`);
  void undo.run();
}

function skip(reason: string): void {
  console.log(`skipped two real clusters: ${reason}`);
  console.log(closingLine({ passed: 0, failed: 0, skipped: stories.length }));
}

/**
 * Ctrl-C: what was started ends first. What is just being started is ended by its watchdog. To be
 * called when nothing is left to end.
 */
function endWithUs(undo: Undo, directory: string): () => void {
  const end = (): void => {
    console.log('ending the clusters');
    void undo.run().finally(() => {
      rmSync(directory, { recursive: true, force: true });
      process.exit(130);
    });
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.once(signal, end);
  return () => {
    for (const signal of signals) process.off(signal, end);
  };
}

/** How many failed: those after a failure too, because each goes on where the last one ended. */
async function tell(world: World, report: Report): Promise<number> {
  for (const [index, story] of stories.entries()) {
    try {
      await report.time(`story: ${story.name}`, () => story.tell(world, report));
    } catch (error) {
      console.log(`FAILED ${story.name}\n${textOf(error)}`);
      return stories.length - index;
    }
  }
  return 0;
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\nbecause: ${textOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`.replace(/^/gm, '    ');
}

async function keep({ east, west }: World): Promise<void> {
  for (const { name, cluster } of [east, west]) console.log(`${name}: ${cluster.kubeconfigPath}`);
  console.log('Ctrl-C ends them.');
  await new Promise<void>(() => undefined);
}

await main();
