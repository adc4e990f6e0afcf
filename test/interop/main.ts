// Real clients, disks, links and kills:
//   npm run interop                 everything this machine can run
//   npm run interop -- teleport     the files whose path has one of these words
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { failedFiles, secondLooksMax, unsteadyLine, withSecond } from '../second.ts';
import { nodeTest } from '../stages.ts';
import { closingLine, tallyOf } from '../tally.ts';

/** More than elsewhere: many of these wait for time-outs most of their time. */
const besideOthers = 3;

const root = join(import.meta.dirname, '../..');

interface Ended {
  readonly output: string;
  readonly succeeded: boolean;
}

/** Shows the output as it comes. */
function runFiles(files: readonly string[], atOnce: number): Promise<Ended> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const args = [...nodeTest, `--test-concurrency=${atOnce}`, ...files];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    process.stdout.write(text);
    output += text;
  });
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ output, succeeded: code === 0 }));
  });
}

async function main(words: readonly string[]): Promise<void> {
  const all = globSync('test/interop/**/*.test.ts', { cwd: root }).toSorted();
  const files = all.filter((file) => words.length === 0 || words.some((one) => file.includes(one)));
  if (files.length === 0) {
    console.error(
      `no test file has ${words.join(' or ')} in its path; there are\n${all.join('\n')}`,
    );
    process.exitCode = 2;
    return;
  }
  const { output, succeeded } = await runFiles(files, besideOthers);
  let tally = tallyOf(output, succeeded);
  const failed = failedFiles(output);
  if (failed.size > 0 && failed.size <= secondLooksMax && files.length > 1) {
    console.log(`\nby itself, a second time: ${[...failed.keys()].join(', ')}`);
    const second = await runFiles([...failed.keys()], 1);
    tally = withSecond(tally, [...failed.values()], tallyOf(second.output, second.succeeded));
    const still = failedFiles(second.output);
    for (const file of failed.keys()) if (!still.has(file)) console.log(unsteadyLine(file));
  }
  console.log(closingLine(tally));
  process.exitCode = tally.failed === 0 ? 0 : 1;
}

await main(process.argv.slice(2));
