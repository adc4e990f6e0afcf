/** What happens inside a mounted volume, each as a process: a stalled mount stalls only that. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { FileRead, FileShare } from './application.ts';
import { chosenFiles, sha256, shareOf, type TreeFile } from './tree.ts';

export interface FillRequest {
  readonly roots: readonly string[];
  readonly bytesMax: number;
  readonly to: string;
  /** Where what was written is listed; outside the volume. */
  readonly manifest: string;
}

export interface Filled {
  readonly files: number;
  readonly bytes: number;
}

export async function* copyTree(request: FillRequest): AsyncGenerator<Filled> {
  const files: TreeFile[] = [];
  for (const { from, path: name, bytes } of chosenFiles(request.roots, request.bytesMax)) {
    const content = fs.readFileSync(from);
    const target = path.join(request.to, name);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, content);
    files.push({ path: name, bytes, sha256: sha256(content) });
  }
  fs.writeFileSync(request.manifest, JSON.stringify(files));
  // The whole file system at once: a sync per file would take minutes.
  execFileSync('sync', ['-f', request.to]);
  yield { files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}

export async function* readTree(request: {
  readonly at: string;
  readonly manifest: string;
  readonly share: FileShare;
}): AsyncGenerator<FileRead> {
  const files = JSON.parse(fs.readFileSync(request.manifest, 'utf8')) as readonly TreeFile[];
  for (const { path: name, bytes, sha256: sum } of shareOf(files, request.share)) {
    const content = fs.readFileSync(path.join(request.at, name));
    yield { path: name, bytes, right: content.length === bytes && sha256(content) === sum };
  }
}

/** New files, as an application makes them. */
export async function* addFiles(request: {
  readonly to: string;
  readonly files: number;
  readonly bytes: number;
}): AsyncGenerator<never> {
  fs.mkdirSync(request.to, { recursive: true });
  for (let index = 0; index < request.files; index++) {
    fs.writeFileSync(path.join(request.to, `new-${index}`), randomBytes(request.bytes));
  }
  execFileSync('sync', ['-f', request.to]);
  yield* [];
}
