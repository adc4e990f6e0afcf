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

function cachedAt(wanted: ModuleProgram, env: NodeJS.ProcessEnv): string {
  const cache = env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const version = `${pinnedVersion(wanted)}-${process.platform}-${process.arch}`;
  return join(cache, 'transship', wanted.folder, version);
}

/** Its path, or why there is none. Builds it the first time, which takes minutes. */
export async function ensureModuleProgram(
  wanted: ModuleProgram,
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ readonly path: string } | { readonly reason: string }> {
  const directory = cachedAt(wanted, env);
  const path = join(directory, wanted.program);
  if (existsSync(path)) return { path };
  if (!hasGo(env)) return { reason: `needs Go to build ${wanted.what}` };
  mkdirSync(directory, { recursive: true });
  using _lock = await lockDirectory(directory, () => undefined);
  if (existsSync(path)) return { path };
  const work = mkdtempSync(join(directory, '.new-'));
  try {
    const words = ['build', '-mod=readonly', '-buildvcs=false', '-trimpath', '-ldflags', '-s -w'];
    const out = join(work, wanted.program);
    const source = `${wanted.module}/${wanted.package}`;
    const { status, stderr } = spawnSync('go', [...words, '-o', out, source], {
      cwd: wanted.directory,
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
