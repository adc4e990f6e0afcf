/**
 * The CSI sanity suite of the Kubernetes project, built from the Go module that is pinned here
 * into a cache outside the checkout.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { hasGo } from '../kubernetes/compile.ts';
import { lockDirectory } from '../kubernetes/lock.ts';

const moduleDirectory = import.meta.dirname;
const module = 'github.com/kubernetes-csi/csi-test/v5';
/** A cold build on a busy machine. */
const buildMs = 15 * 60_000;

function pinnedVersion(): string {
  const goMod = readFileSync(join(moduleDirectory, 'go.mod'), 'utf8');
  const found = new RegExp(`${module} (v\\S+)`).exec(goMod)?.[1];
  if (found === undefined) throw new Error(`go.mod requires no ${module}`);
  return found;
}

function cachedAt(env: NodeJS.ProcessEnv): string {
  const cache = env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(cache, 'transship/csi', `${pinnedVersion()}-${process.platform}-${process.arch}`);
}

/** Its path, or why there is none. Builds it the first time, which takes a minute or two. */
export async function ensureSanity(
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ readonly path: string } | { readonly reason: string }> {
  const directory = cachedAt(env);
  const path = join(directory, 'csi-sanity');
  if (existsSync(path)) return { path };
  if (!hasGo(env)) return { reason: 'needs Go to build the CSI sanity suite' };
  mkdirSync(directory, { recursive: true });
  using _lock = await lockDirectory(directory, () => undefined);
  if (existsSync(path)) return { path };
  const work = mkdtempSync(join(directory, '.new-'));
  try {
    const words = ['build', '-mod=readonly', '-buildvcs=false', '-trimpath', '-ldflags', '-s -w'];
    const { status, stderr } = spawnSync(
      'go',
      [...words, '-o', join(work, 'csi-sanity'), `${module}/cmd/csi-sanity`],
      {
        cwd: moduleDirectory,
        env: { ...env, CGO_ENABLED: '0', GOWORK: 'off' },
        encoding: 'utf8',
        timeout: buildMs,
      },
    );
    // What is in the cache is whole.
    if (status === 0) renameSync(join(work, 'csi-sanity'), path);
    return status === 0 ? { path } : { reason: `go build failed: ${stderr.trim().slice(-500)}` };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
