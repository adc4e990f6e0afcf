/** `transship demo`: the main job, end to end. Exit 0 only if every claim it printed holds. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { exitCodes } from '../../base/reasons.ts';
import type { DemoOptions, Terminal } from '../../cli/ports.ts';
import { createAgents } from '../agents.ts';
import { createClock } from '../clock.ts';
import { createPlanes } from '../control-planes.ts';
import { findTool } from '../run-tool.ts';
import { createTerminal } from '../terminal.ts';
import type { Application } from './application.ts';
import { ledgerApplication } from './ledger.ts';
import { mountedApplication } from './mounted.ts';
import * as namespaceStory from './namespace-story.ts';
import { DemoFailure, Narrator } from './narrator.ts';
import { createPrograms } from './programs.ts';
import * as replicationStory from './replication-story.ts';
import { Stage } from './stage.ts';
import * as story from './story.ts';
import { summary } from './summary.ts';
import { treeRoots } from './tree.ts';

export { runPart } from './parts.ts';

const treeBytesMax = 128 * 2 ** 20;
const freeBytesMin = 3 * 2 ** 30;
/** Nothing here takes so long; a demo that hangs says so instead. */
const storyMs = 600_000;

export async function runDemo(
  options: DemoOptions,
  environment: NodeJS.ProcessEnv,
  mainPath: string,
): Promise<number> {
  const terminal = createTerminal();
  const abort = new AbortController();
  const stopListening = terminal.onInterrupt(() => abort.abort(new Interrupted()));
  const late = setTimeout(() => abort.abort(new DemoFailure('it took too long')), storyMs);
  const home = fs.mkdtempSync(path.join(tmpdir(), 'transship-demo-'));
  const obstacle = namespaceStory.obstacle();
  const more = namespaceStory.steps + replicationStory.steps;
  const steps = story.steps + (obstacle === undefined ? more : 0);
  const narrator = new Narrator(terminal, steps, abort.signal);
  const stage = new Stage({
    home,
    narrator,
    terminal,
    clock: createClock(),
    signal: abort.signal,
    agents: createAgents({ home, mainPath }),
    planes: createPlanes({ home, mainPath }),
    programs: createPrograms({
      mainPath,
      signal: abort.signal,
      environment: { ...environment, TRANSSHIP_HOME: home, NO_COLOR: '1' },
    }),
  });
  const told = aborted(abort.signal, async () => tell(stage, options, mainPath));
  const code = await told.catch((error: unknown) => explain(terminal, home, error));
  clearTimeout(late);
  const left = await cleanUp(stage, terminal);
  stopListening();
  return left ? exitCodes.failed : code;
}

class Interrupted extends Error {}

/** Ends with the signal's reason as soon as there is one. */
async function aborted<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  return Promise.race([run(), promise]);
}

async function tell(stage: Stage, options: DemoOptions, mainPath: string): Promise<number> {
  const { narrator, home, clock } = stage.o;
  const beganMs = clock.monotonicMs();
  checkSpace(home);
  narrator.raw('A volume moves between two clusters while it is used. Each line with "ok" was\n');
  narrator.raw('checked; the demo fails where one does not hold.\n');
  await story.joinClusters(stage);
  const application = choose(stage, options, mainPath);
  const { writer } = await story.makeDisk(stage, application);
  const facts = await story.teleportThere(stage, writer);
  await story.useAtOnce(stage, application, facts);
  const { reading } = await story.loseTheLink(stage, application);
  const there = await story.becomeAvailable(stage, application, reading);
  const back = await story.teleportBack(stage, application, there);
  await story.goBackInTime(stage, application, writer);
  const obstacle = namespaceStory.obstacle();
  if (obstacle === undefined) {
    await namespaceStory.moveNamespace(stage);
    await replicationStory.replicate(stage);
  } else narrator.say(`The stories of namespaces are left out: ${obstacle}.`);
  narrator.step('What it took');
  narrator.raw(`\n${summary(facts, { there, back })}`);
  const seconds = Math.round((clock.monotonicMs() - beganMs) / 1000);
  narrator.raw(`\n${narrator.claims} claims, all checked, in ${seconds} s.\n`);
  if (options.keep) await stay(stage);
  return exitCodes.done;
}

function checkSpace(home: string): void {
  const { bavail, bsize } = fs.statfsSync(home);
  if (bavail * bsize >= freeBytesMin) return;
  throw new DemoFailure(`${home} has less than 3 GiB free; set TMPDIR to a larger disk`);
}

/** Mounted where this host can, through NBD elsewhere. */
function choose(stage: Stage, options: DemoOptions, mainPath: string): Application {
  const { home, programs, narrator } = stage.o;
  const manifest = path.join(home, 'tree.json');
  const tree = { roots: treeRoots(mainPath), bytesMax: treeBytesMax, manifest };
  const command = (words: readonly string[]) => stage.command(words);
  const obstacle = options.unprivileged ? '--unprivileged was given' : mountObstacle();
  if (obstacle === undefined) {
    return mountedApplication({ programs, command, tree, mounts: path.join(home, 'mounts') });
  }
  narrator.say(`Nothing is mounted: ${obstacle}.`);
  return ledgerApplication({ programs, command, tree });
}

function mountObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'that needs root';
  for (const device of ['/dev/fuse', '/dev/loop-control']) {
    if (!fs.existsSync(device)) return `there is no ${device}`;
  }
  try {
    for (const tool of ['nbdfuse', 'losetup', 'mkfs.ext4', 'mount'] as const) findTool(tool);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function stay(stage: Stage): Promise<void> {
  const { narrator, home } = stage.o;
  narrator.raw(`\nBoth clusters run until Ctrl-C. To look around, in another terminal:\n`);
  narrator.raw(`  export TRANSSHIP_HOME=${home}\n`);
  narrator.raw('  transship volume list --cluster west\n');
  narrator.raw('  transship events --cluster west\n');
  narrator.raw(`  kubectl --kubeconfig ${home}/kubeconfig --context west get teleports,volumes\n`);
  await new Promise(() => undefined);
}

function explain(terminal: Terminal, home: string, error: unknown): number {
  if (error instanceof Interrupted) {
    terminal.err('\nInterrupted.\n');
    return exitCodes.interrupted;
  }
  const text = error instanceof DemoFailure ? error.message : (error as Error).stack;
  terminal.err(`\nThe demo failed: ${text}\n`);
  for (const name of ['east', 'west']) {
    const log = path.join(home, 'clusters', name, 'agent.log');
    if (!fs.existsSync(log)) continue;
    const last = fs.readFileSync(log, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
    terminal.err(`\nThe end of the log of ${name}:\n${last}\n`);
  }
  return exitCodes.failed;
}

/** True when something is left. */
async function cleanUp(stage: Stage, terminal: Terminal): Promise<boolean> {
  try {
    const left = await stage.close();
    for (const line of left) terminal.err(`${line}\n`);
    return left.length > 0;
  } catch (error) {
    terminal.err(`cannot clean up ${stage.o.home}: ${(error as Error).message}\n`);
    return true;
  }
}
