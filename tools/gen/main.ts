// Writes the documents that follow from tables in the sources: `npm run gen`. With `--check` it
// writes nothing and fails when one is stale.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { chartFiles } from './chart.ts';
import { cliReference } from './cli.ts';
import { controlReference } from './control.ts';
import { crdFiles } from './crds.ts';
import { kindsReference } from './kinds.ts';
import { metricsReference } from './metrics.ts';
import { reasonsReference } from './reasons.ts';
import { rightsReference } from './rights.ts';

const root = join(import.meta.dirname, '../..');

/** Each generated file, and what is in it. */
export const generated: readonly (readonly [path: string, render: () => string])[] = [
  ['docs/reference/cli.md', cliReference],
  ['docs/reference/control.md', controlReference],
  ['docs/reference/reasons.md', reasonsReference],
  ['docs/reference/metrics.md', metricsReference],
  ['docs/reference/kinds.md', kindsReference],
  ['docs/reference/rights.md', rightsReference],
  ...crdFiles,
  ...chartFiles,
];

function run(check: boolean): number {
  let stale = 0;
  for (const [path, render] of generated) {
    const full = join(root, path);
    const fresh = render();
    if (existsSync(full) && readFileSync(full, 'utf8') === fresh) continue;
    if (check) {
      console.log(`${path} is stale: run npm run gen`);
      stale += 1;
    } else {
      mkdirSync(dirname(full), { recursive: true });
      writeFileSync(full, fresh);
      console.log(`${path} written`);
    }
  }
  return stale === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = run(process.argv.includes('--check'));
