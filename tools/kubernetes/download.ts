/** Fetches one published program over https and compares its SHA-256. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, createWriteStream, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Pins, Platform, Program } from './pins.ts';

const sumTimeoutMs = 20_000;
const fileTimeoutMs = 15 * 60_000;

export interface Published {
  readonly url: string;
  /** Lists the sum of the file, alone or with those of others. */
  readonly sumUrl: string;
  /** Where the program is in the archive, if it comes in one. */
  readonly member?: string;
}

export function publishedAt(program: Program, pins: Pins, platform: Platform): Published {
  const { os, arch } = platform;
  if (program !== 'etcd') {
    const url = `https://dl.k8s.io/release/${pins.kubernetes}/bin/${os}/${arch}/${program}`;
    return { url, sumUrl: `${url}.sha256` };
  }
  const base = `https://github.com/etcd-io/etcd/releases/download/${pins.etcd}`;
  const folder = `etcd-${pins.etcd}-${os}-${arch}`;
  return {
    url: `${base}/${folder}.tar.gz`,
    sumUrl: `${base}/SHA256SUMS`,
    member: `${folder}/etcd`,
  };
}

/** The sum of the named file in the output of sha256sum, or a sum that stands alone. */
export function sumOf(text: string, fileName: string): string | undefined {
  const alone = /^\s*([0-9a-f]{64})\s*$/.exec(text)?.[1];
  if (alone !== undefined) return alone;
  const fields = text.split('\n').map((line) => line.trim().split(/\s+/));
  const found = fields.find(([, name]) => name?.replace(/^\*/, '') === fileName)?.[0];
  return found !== undefined && /^[0-9a-f]{64}$/.test(found) ? found : undefined;
}

export type Fetch = (url: string, options: { signal: AbortSignal }) => Promise<Response>;

export interface Download {
  readonly program: Program;
  readonly from: Published;
  /** Where the program goes. */
  readonly directory: string;
  readonly fetch: Fetch;
}

/** Resolves with the reason if it failed. Leaves nothing behind then. */
export async function download(task: Download): Promise<string | undefined> {
  const part = join(task.directory, `${task.program}.part`);
  try {
    await fetchChecked(task, part);
    const target = join(task.directory, task.program);
    if (task.from.member === undefined) renameSync(part, target);
    else unpack(part, task.from.member, task.directory);
    chmodSync(target, 0o755);
    return undefined;
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
    const words = cause === undefined ? '' : `: ${cause.message}`;
    return `${task.from.url}: ${error instanceof Error ? error.message : String(error)}${words}`;
  } finally {
    rmSync(part, { force: true });
  }
}

async function fetchChecked({ from, fetch }: Download, part: string): Promise<void> {
  const sums = await fetch(from.sumUrl, { signal: AbortSignal.timeout(sumTimeoutMs) });
  if (!sums.ok) throw new Error(`${from.sumUrl} answers ${sums.status}`);
  const fileName = from.url.slice(from.url.lastIndexOf('/') + 1);
  const expected = sumOf(await sums.text(), fileName);
  if (expected === undefined) throw new Error(`${from.sumUrl} has no SHA-256 of ${fileName}`);
  const answer = await fetch(from.url, { signal: AbortSignal.timeout(fileTimeoutMs) });
  if (!answer.ok || answer.body === null) throw new Error(`answers ${answer.status}`);
  const hash = createHash('sha256');
  const body = Readable.fromWeb(answer.body).on('data', (bytes: Uint8Array) => hash.update(bytes));
  await pipeline(body, createWriteStream(part));
  const found = hash.digest('hex');
  if (found !== expected) throw new Error(`SHA-256 is ${found}, should be ${expected}`);
}

function unpack(archive: string, member: string, directory: string): void {
  const words = ['-xzf', archive, '-C', directory, '--strip-components=1', member];
  const { status, stderr } = spawnSync('tar', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tar ended with ${status}: ${stderr.trim()}`);
}
