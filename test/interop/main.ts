// Real clients, disks, links and kills:
//   npm run interop                 everything this machine can run
//   npm run interop -- teleport     the files whose path has one of these words
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { nodeTest } from '../stages.ts';

/** More than elsewhere: many of these wait for time-outs most of their time. */
const concurrency = '--test-concurrency=3';

const root = join(import.meta.dirname, '../..');

function main(words: readonly string[]): void {
  const all = globSync('test/interop/**/*.test.ts', { cwd: root }).toSorted();
  const files = all.filter((file) => words.length === 0 || words.some((one) => file.includes(one)));
  if (files.length === 0) {
    console.error(
      `no test file has ${words.join(' or ')} in its path; there are\n${all.join('\n')}`,
    );
    process.exitCode = 2;
    return;
  }
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, [...nodeTest, concurrency, ...files], {
    cwd: root,
    env,
    stdio: 'inherit',
  });
  child.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}

main(process.argv.slice(2));
