/** An S3 server for tests, built from the Go module that is pinned here into a cache. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ensureGoProgram } from '../kubernetes/module.ts';

const directory = import.meta.dirname;

/** The program's path, or why there is none. Builds it the first time. */
export async function ensureS3(
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ readonly path: string } | { readonly reason: string }> {
  const digest = createHash('sha256');
  for (const file of ['go.sum', 'main.go']) digest.update(readFileSync(join(directory, file)));
  const version = digest.digest('hex').slice(0, 16);
  const what = 'an S3 server';
  return ensureGoProgram(
    { directory, source: '.', program: 's3', folder: 's3', version, what },
    env,
  );
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
