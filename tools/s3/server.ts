/** An S3 server for tests, built from the Go module that is pinned here into a cache. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { hasGo } from '../kubernetes/compile.ts';
import { lockDirectory } from '../kubernetes/lock.ts';

const moduleDirectory = import.meta.dirname;
/** A cold build on a busy machine. */
const buildMs = 15 * 60_000;

function cachedAt(env: NodeJS.ProcessEnv): string {
  const digest = createHash('sha256');
  for (const file of ['go.sum', 'main.go'])
    digest.update(readFileSync(join(moduleDirectory, file)));
  const cache = env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const version = digest.digest('hex').slice(0, 16);
  return join(cache, 'transship/s3', `${version}-${process.platform}-${process.arch}`);
}

/** The program's path, or why there is none. Builds it the first time. */
export async function ensureS3(
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ readonly path: string } | { readonly reason: string }> {
  const directory = cachedAt(env);
  const path = join(directory, 's3');
  if (existsSync(path)) return { path };
  if (!hasGo(env)) return { reason: 'needs Go to build an S3 server' };
  mkdirSync(directory, { recursive: true });
  using _lock = await lockDirectory(directory, () => undefined);
  if (existsSync(path)) return { path };
  const work = mkdtempSync(join(directory, '.new-'));
  try {
    const out = join(work, 's3');
    const words = ['build', '-mod=readonly', '-buildvcs=false', '-trimpath', '-ldflags', '-s -w'];
    const { status, stderr } = spawnSync('go', [...words, '-o', out, '.'], {
      cwd: moduleDirectory,
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

export interface S3Server {
  /** `https://localhost:PORT`. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  stop(): Promise<void>;
}

/** Serves until it is stopped, or this process ends. */
export async function startS3(
  program: string,
  files: { readonly certificate: string; readonly key: string },
): Promise<S3Server> {
  const [bucket, accessKeyId, secretAccessKey] = ['moves', 'mover', 'nobody-must-see-this'];
  const words = ['-cert', files.certificate, '-key', files.key, '-bucket', bucket];
  const keys = ['-access', accessKeyId, '-secret', secretAccessKey];
  const child = spawn(program, [...words, ...keys], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, 'line'), ended.then(() => undefined)]);
  if (first === undefined) throw new Error('the S3 server did not start');
  return {
    endpoint: `https://localhost:${String(first[0])}`,
    bucket,
    accessKeyId,
    secretAccessKey,
    stop: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
