// Runs the stages of test/stages.ts one after another and adds up what they count:
//   npm test                          every stage
//   npm test -- sim interop           these
//   npm run unit -- PATH... -t NAME   the unit tests of these files or folders, by name
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { addTallies, closingLine, type Tally, tallyOf } from './tally.ts';
import { nodeTest, type Stage, stages } from './stages.ts';

const root = join(import.meta.dirname, '..');

interface Result {
  readonly stage: Stage;
  readonly tally: Tally;
  /** Why the stage counts as failed beyond the tests that failed in it. */
  readonly trouble: string | undefined;
  readonly seconds: number;
}

interface Ended {
  readonly output: string;
  readonly code: number | null;
  readonly timedOut: boolean;
}

/** Shows the output as it comes and keeps the end of it, where the counts are. */
function runNode(stage: Stage): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  // node:test must not find out that it is below another one, or it would report to it.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  // A group of its own, so that what a stage left running ends with it.
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...stage.run], {
    cwd: root,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const killGroup = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Nobody is left in the group.
    }
  };
  let output = '';
  let timedOut = false;
  const deadline = setTimeout(() => {
    timedOut = true;
    killGroup();
  }, stage.minutesMax * 60_000);
  const interrupted = (): void => {
    killGroup();
    process.exit(130);
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    process.stdout.write(text);
    output = (output + text).slice(-64 * 1024);
  });
  child.on('exit', killGroup);
  child.on('close', (code) => {
    clearTimeout(deadline);
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
    resolve({ output, code, timedOut });
  });
  return promise;
}

function troubleOf(stage: Stage, ended: Ended, tally: Tally): string | undefined {
  if (ended.timedOut) return `was stopped after ${stage.minutesMax} minutes`;
  if (ended.code !== 0 && tally.failed === 0) return `ended with ${ended.code ?? 'a signal'}`;
  return undefined;
}

async function runStage(stage: Stage): Promise<Result> {
  console.log(`\n== ${stage.name}`);
  const started = performance.now();
  const seconds = (): number => Math.round((performance.now() - started) / 1000);
  const nothing: Tally = { passed: 0, failed: 1, skipped: 0 };
  const program = stage.run.find((part) => part.endsWith('main.ts'));
  if (program !== undefined && !existsSync(join(root, program))) {
    const trouble = `${program} does not exist in this checkout`;
    console.log(trouble);
    return { stage, tally: nothing, trouble, seconds: 0 };
  }
  const ended = await runNode(stage);
  const tally = tallyOf(ended.output, ended.code === 0);
  const trouble = troubleOf(stage, ended, tally);
  return {
    stage,
    tally: trouble === undefined ? tally : addTallies([tally, nothing]),
    trouble,
    seconds: seconds(),
  };
}

function printResults(results: readonly Result[]): void {
  console.log('\n== result');
  for (const { stage, tally, trouble, seconds } of results) {
    const again = tally.failed > 0 ? `   again: npm test -- ${stage.name}` : '';
    const why = trouble === undefined ? '' : ` (${trouble})`;
    console.log(`${stage.name}: ${closingLine(tally)}${why}, ${seconds} s${again}`);
  }
  const total = addTallies(results.map((result) => result.tally));
  console.log(closingLine(total));
  process.exitCode = total.failed === 0 ? 0 : 1;
}

/** The unit stage narrowed to the files, folders and names that were asked for. */
function narrowed(args: readonly string[]): Stage {
  const files: string[] = [];
  const names: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '-t') names.push(`--test-name-pattern=${args[++i] ?? ''}`);
    else if (statSync(join(root, arg), { throwIfNoEntry: false })?.isDirectory() === true) {
      files.push(`${arg.replace(/\/$/, '')}/**/*.test.ts`);
    } else files.push(arg);
  }
  const [unit] = stages as readonly [Stage];
  const all = unit.run.filter((part) => part.endsWith('.test.ts'));
  return { ...unit, run: [...nodeTest, ...names, ...(files.length > 0 ? files : all)] };
}

async function main(args: readonly string[]): Promise<void> {
  const chosen = stages.filter((stage) => args.includes(stage.name));
  const others = args.filter((arg) => !stages.some((stage) => stage.name === arg));
  if (others.length > 0 && args[0] !== 'unit') {
    const known = stages.map((stage) => stage.name).join(', ');
    console.error(`there is no stage ${others.join(' ')}; there are ${known}`);
    process.exitCode = 2;
    return;
  }
  const first = others.length > 0 ? [narrowed(others)] : chosen.length > 0 ? chosen : stages;
  const results: Result[] = [];
  for (const stage of first) results.push(await runStage(stage));
  printResults(results);
}

await main(process.argv.slice(2));
