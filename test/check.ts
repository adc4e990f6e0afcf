// Everything about the sources that needs no running: `npm run check`. All checks run, also
// behind one that failed, so that one run tells everything.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = (name: string): string => join(root, 'node_modules/.bin', name);
const node = process.execPath;

interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** The file without which there is nothing to run. */
  readonly needs: string;
  /** The command that repairs what it finds, where there is one. */
  readonly repair?: string;
  readonly isOptional?: boolean;
}

const checks: readonly Check[] = [
  {
    name: 'format',
    command: [bin('biome'), 'format', '.'],
    needs: 'biome.json',
    repair: 'npm run format',
  },
  { name: 'lint', command: [bin('oxlint'), '--deny-warnings'], needs: '.oxlintrc.json' },
  { name: 'types', command: [bin('tsc'), '-p', '.'], needs: 'tsconfig.json' },
  {
    name: 'types of web',
    command: [bin('tsc'), '-p', 'web'],
    needs: 'web/tsconfig.json',
    isOptional: true,
  },
  {
    name: 'lockfile',
    command: [node, 'scripts/complete-lock.mjs', '--check'],
    needs: 'package-lock.json',
    repair: 'node scripts/complete-lock.mjs',
  },
  { name: 'tidy', command: [node, 'test/tidy/main.ts'], needs: 'test/tidy/main.ts' },
  {
    name: 'generated',
    command: [node, 'tools/gen/main.ts', '--check'],
    needs: 'tools/gen/main.ts',
    repair: 'npm run gen',
  },
];

function run(check: Check): boolean {
  console.log(`\n== ${check.name}`);
  if (!existsSync(join(root, check.needs))) {
    console.log(`FAILED ${check.name}: ${check.needs} does not exist in this checkout`);
    return false;
  }
  const [command, ...args] = check.command;
  const ended = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  const passed = ended.status === 0;
  console.log(
    passed ? `ok ${check.name}` : `FAILED ${check.name}; to repair: ${check.repair ?? 'by hand'}`,
  );
  return passed;
}

const due = checks.filter((c) => c.isOptional !== true || existsSync(join(root, c.needs)));
const failed = due.filter((check) => !run(check));
console.log('\n== result');
for (const check of failed) console.log(`FAILED ${check.name}`);
console.log(`${due.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;
