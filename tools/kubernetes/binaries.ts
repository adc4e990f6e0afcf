/**
 * Where the programs of a real Kubernetes are. The first of these that has all that is asked for:
 * KUBEBUILDER_ASSETS, the cache, a Go build into the cache, a download into the cache. Programs of
 * two sources are never mixed, because a controller manager must not be newer than its API server.
 */
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { compile, hasGo } from './compile.ts';
import { download, type Fetch, publishedAt } from './download.ts';
import { lockDirectory } from './lock.ts';
import { cacheDirectory, type Platform, type Program, readPins, thisPlatform } from './pins.ts';

export interface Available {
  readonly available: true;
  readonly source: 'KUBEBUILDER_ASSETS' | 'cache';
  readonly directory: string;
  /** Absolute path of each program that was asked for. */
  readonly path: (program: Program) => string;
}

export interface NotAvailable {
  readonly available: false;
  /** For the line that says why something was skipped. */
  readonly reason: string;
}

export type Binaries = Available | NotAvailable;

/** What a control plane consists of. */
export const controlPlanePrograms: readonly Program[] = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
];

const unfinished = '.new-';

export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly platform: Platform;
  readonly fetch: Fetch;
  readonly hasGo: () => boolean;
  readonly say: (line: string) => void;
}

const real: Surroundings = {
  env: process.env,
  platform: thisPlatform(),
  fetch: (url, options) => fetch(url, options),
  hasGo: () => hasGo(),
  say: (line) => console.error(`kubernetes: ${line}`),
};

/** Only looks: never builds and never downloads, so that a test may ask. */
export function findBinaries(names: readonly Program[], world: Surroundings = real): Binaries {
  const assets = world.env['KUBEBUILDER_ASSETS'] ?? '';
  const notes: string[] = [];
  if (assets !== '') {
    const absent = absentFrom(assets, names);
    if (absent.length === 0) return found('KUBEBUILDER_ASSETS', assets);
    notes.push(`KUBEBUILDER_ASSETS has no ${absent.join(', ')}`);
  }
  const cache = cacheDirectory(readPins(), world.platform, world.env);
  const absent = absentFrom(cache, names);
  if (absent.length === 0) return found('cache', cache);
  notes.push(`${absent.join(', ')} not built: node tools/kubernetes/build.ts ${absent.join(' ')}`);
  return { available: false, reason: notes.join('; ') };
}

/** As `findBinaries`, but first makes what is missing. Minutes, the first time. */
export async function ensureBinaries(
  names: readonly Program[],
  world: Surroundings = real,
): Promise<Binaries> {
  const before = findBinaries(names, world);
  if (before.available) return before;
  const cache = cacheDirectory(readPins(), world.platform, world.env);
  mkdirSync(cache, { recursive: true });
  const waiting = (): void => world.say('another process is filling the cache; waiting for it');
  using _lock = await lockDirectory(cache, waiting);
  removeAbandoned(cache);
  for (const program of absentFrom(cache, names)) {
    const reason = await makeOne(program, cache, world);
    if (reason !== undefined) return { available: false, reason };
  }
  return findBinaries(names, world);
}

/** What a run left that was killed: whoever holds the lock is alone here. */
function removeAbandoned(cache: string): void {
  for (const name of readdirSync(cache)) {
    if (name.startsWith(unfinished)) rmSync(join(cache, name), { recursive: true, force: true });
  }
}

/** Built or downloaded beside its place and then renamed: what is in the cache is whole. */
async function makeOne(
  program: Program,
  cache: string,
  world: Surroundings,
): Promise<string | undefined> {
  const { platform, say } = world;
  const pins = readPins();
  const directory = mkdtempSync(join(cache, unfinished));
  try {
    const noGo = 'Go is not installed';
    const notBuilt = world.hasGo()
      ? await compile({ program, pins, platform, directory, say })
      : noGo;
    if (notBuilt !== undefined) {
      say(`${program}: ${notBuilt}; downloading it`);
      const from = publishedAt(program, pins, platform);
      const failed = await download({ program, from, directory, fetch: world.fetch });
      if (failed !== undefined) return `${program}: ${notBuilt}; ${failed}`;
    }
    renameSync(join(directory, program), join(cache, program));
    return undefined;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function found(source: Available['source'], directory: string): Available {
  return { available: true, source, directory, path: (program) => join(directory, program) };
}

function absentFrom(directory: string, names: readonly Program[]): readonly Program[] {
  return names.filter((name) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return false;
    } catch {
      return true;
    }
  });
}
