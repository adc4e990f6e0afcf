// Two real clusters of one node each, with Transship in them, and what users do there:
//   npm run e2e                 all stories, in order
//   npm run e2e -- -t replica   those with this in their names, and the first, which all need
//   npm run e2e -- --keep       leaves them running until Ctrl-C, and says how to reach them
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBinaries } from '../../tools/kubernetes/binaries.ts';
import { closingLine } from '../tally.ts';
import { obstacleToMachine } from './cluster/obstacle.ts';
import { saveLogs } from './logs.ts';
import { Report } from './report.ts';
import { allStories } from './stories.ts';
import { takeTurn } from './turn.ts';
import { programs, startWorld, Undo, type World } from './world.ts';

const { values: flags } = parseArgs({
  options: {
    keep: { type: 'boolean', default: false },
    test: { type: 'string', short: 't', multiple: true, default: [] },
  },
});
const words = flags.test;
const stories = allStories.filter(({ name }, index) => {
  return index === 0 || words.length === 0 || words.some((word) => name.includes(word));
});

async function main(): Promise<void> {
  const reason = obstacleToMachine();
  if (reason !== undefined) return skip(reason);
  const binaries = await ensureBinaries(programs);
  if (!binaries.available) return skip(binaries.reason);
  const endTurn = await takeTurn(() => console.log('waiting for another run of e2e to end'));
  const directory = mkdtempSync(join(tmpdir(), 'transship-e2e-'));
  const report = new Report();
  const undo = new Undo();
  endWithUs(undo, directory);
  let failed = stories.length;
  try {
    const world = await startWorld({ directory, binaries, report, undo });
    failed = await tell(world, report);
    if (failed > 0) console.log(`logs: ${await saveLogs(world)}`);
    if (flags.keep) await keep(world);
  } catch (error) {
    console.log(`FAILED the clusters\n${textOf(error)}`);
  } finally {
    await undo.run();
    rmSync(directory, { recursive: true, force: true });
    endTurn();
  }
  report.print();
  console.log(closingLine({ passed: stories.length - failed, failed, skipped: 0 }));
  process.exitCode = failed === 0 ? 0 : 1;
}

function skip(reason: string): void {
  console.log(`skipped two real clusters: ${reason}`);
  console.log(closingLine({ passed: 0, failed: 0, skipped: stories.length }));
}

/** Ctrl-C: what was started ends first. What is just being started is ended by its watchdog. */
function endWithUs(undo: Undo, directory: string): void {
  const end = (): void => {
    console.log('ending the clusters');
    void undo.run().finally(() => {
      rmSync(directory, { recursive: true, force: true });
      process.exit(130);
    });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end);
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
