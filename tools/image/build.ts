/**
 * Builds our images without a registry: from this checkout and programs of this machine.
 *   node tools/image/build.ts DIRECTORY [NAME...]    NAME: transship, transship-mover
 * writes DIRECTORY/NAME.tar, for `ctr images import` and `skopeo copy oci-archive:`.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeImage } from './archive.ts';
import { makeRoot, missingFor, recipes } from './root.ts';

/** What no pod of ours lacks. */
export const entrypoint = [
  '/usr/local/bin/node',
  '--disable-warning=ExperimentalWarning',
  '/opt/transship/dist/main.js',
];
const environment = { PATH: '/usr/local/bin:/usr/sbin:/usr/bin', TRANSSHIP_HOME: '/tmp/transship' };
/** Of nobody: node pods that need root say so. */
export const user = '65532:65532';

export interface Built {
  readonly name: string;
  readonly archive: string;
}

export function versionOf(): string {
  const text = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** Why this machine cannot build them; undefined when it can. */
export function obstacleTo(names: readonly string[]): string | undefined {
  return names.map((name) => missingFor(recipeOf(name))).find((one) => one !== undefined);
}

/** Rejects with what is missing on this machine. */
export async function buildImage(directory: string, name: string): Promise<Built> {
  const recipe = recipeOf(name);
  const missing = missingFor(recipe);
  if (missing !== undefined) throw new Error(`${name}: ${missing}`);
  mkdirSync(directory, { recursive: true });
  const rootDirectory = mkdtempSync(join(tmpdir(), 'transship-image-'));
  try {
    makeRoot(rootDirectory, recipe);
    const archive = join(directory, `${name}.tar`);
    const full = `${name}:${versionOf()}`;
    await writeImage({ name: full, rootDirectory, output: archive, entrypoint, environment, user });
    return { name: full, archive };
  } finally {
    rmSync(rootDirectory, { recursive: true, force: true });
  }
}

function recipeOf(name: string) {
  const recipe = recipes[name];
  if (recipe !== undefined) return recipe;
  throw new Error(`there is no image ${name}, only ${Object.keys(recipes).join(', ')}`);
}

if (import.meta.main) {
  const [directory, ...names] = process.argv.slice(2);
  if (directory === undefined) throw new Error('say where: build.ts DIRECTORY [NAME...]');
  for (const name of names.length > 0 ? names : Object.keys(recipes)) {
    const { name: full, archive } = await buildImage(directory, name);
    console.log(`${full} ${archive}`);
  }
}
