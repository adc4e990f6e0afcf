/**
 * One program of a Go module that a go.mod beside its caller pins, built into a cache outside the
 * checkout.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { hasGo } from './compile.ts';
import { lockDirectory } from './lock.ts';

/** A cold build on a busy machine. */
const buildMs = 15 * 60_000;

export interface ModuleProgram {
  /** Where go.mod is. */
  readonly directory: string;
  readonly module: string;
  /** Below the module: `cmd/helm`. */
  readonly package: string;
  readonly program: string;
  /** Of the cache. */
  readonly folder: string;
  /** For whoever reads why there is none. */
  readonly what: string;
}

function pinnedVersion({ directory, module }: ModuleProgram): string {
  const goMod = readFileSync(join(directory, 'go.mod'), 'utf8');
  const found = new RegExp(`${module} (v\\S+)`).exec(goMod)?.[1];
  if (found === undefined) throw new Error(`go.mod requires no ${module}`);
  return found;
}

/** What is built, and where it is kept. */
export interface GoProgram
  extends Pick<ModuleProgram, 'directory' | 'program' | 'folder' | 'what'> {
  /** What `go build` is given, below `directory` or by name of its module. */
  readonly source: string;
  /** Of all that it is built from: another one is another program. */
  readonly version: string;
}

/** Its path, or why there is none. Builds it the first time, which takes minutes. */
export async function ensureModuleProgram(
  wanted: ModuleProgram,
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ readonly path: string } | { readonly reason: string }> {
  const source = `${wanted.module}/${wanted.package}`;
  return ensureGoProgram({ ...wanted, source, version: pinnedVersion(wanted) }, env);
}

/** As `ensureModuleProgram`, of what its caller names. */
export async function ensureGoProgram(
  { directory, source, program, folder, version, what }: GoProgram,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly path: string } | { readonly reason: string }> {
  const cache = env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const platform = `${process.platform}-${process.arch}`;
  const kept = join(cache, 'transship', folder, `${version}-${platform}`);
  const path = join(kept, program);
  if (existsSync(path)) return { path };
  if (!hasGo(env)) return { reason: `needs Go to build ${what}` };
  mkdirSync(kept, { recursive: true });
  using _lock = await lockDirectory(kept, () => undefined);
  if (existsSync(path)) return { path };
  const work = mkdtempSync(join(kept, '.new-'));
  try {
    const words = ['build', '-mod=readonly', '-buildvcs=false', '-trimpath', '-ldflags', '-s -w'];
    const out = join(work, program);
    const { status, stderr } = spawnSync('go', [...words, '-o', out, source], {
      cwd: directory,
      env: { ...env, CGO_ENABLED: '0', GOWORK: 'off' },
      encoding: 'utf8',
      timeout: buildMs,
    });
    // What is in the cache is whole.
    if (status === 0) renameSync(out, path);
    return status === 0 ? { path } : { reason: `go build failed: ${stderr.trim().slice(-500)}` };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
