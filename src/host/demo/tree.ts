/** A real directory tree: files that are on this machine anyway. */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';

export interface TreeFile {
  /** Below the tree's root. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface TreeChoice {
  readonly root: string;
  readonly bytesMax: number;
}

/** Larger files would make the tree a few big blobs, which real trees are not. */
const fileBytesMax = 4 * 1024 * 1024;

/** The first of these that is there is used; each is a tree a person might really have. */
export function treeRoots(mainPath: string): readonly string[] {
  const package_ = path.join(path.dirname(mainPath), '..');
  return [path.join(package_, 'node_modules'), '/usr/share', '/usr/lib', package_];
}

/** Files up to the limit, in the order of their names, from as many roots as it takes. */
export function* chosenFiles(
  roots: readonly string[],
  bytesMax: number,
): Generator<{ readonly from: string; readonly path: string; readonly bytes: number }> {
  let left = bytesMax;
  for (const root of roots) {
    if (!fs.existsSync(root)) continue;
    for (const file of walk(root)) {
      const { size } = fs.statSync(file);
      if (size === 0 || size > fileBytesMax) continue;
      if (size > left) return;
      left -= size;
      const name = path.join(path.basename(root), path.relative(root, file));
      yield { from: file, path: name, bytes: size };
    }
  }
}

function* walk(directory: string): Generator<string> {
  const entries = readable(directory).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const full = path.join(directory, entry.name);
    if (entry.isDirectory()) yield* walk(full);
    else if (entry.isFile() && canRead(full)) yield full;
  }
}

function readable(directory: string): fs.Dirent[] {
  try {
    return fs.readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

function canRead(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The files of one `FileShare`. */
export function shareOf<T>(
  all: readonly T[],
  share: { readonly nth: number; readonly first: number },
): readonly T[] {
  return all.filter((_, index) => index % share.nth === share.first % share.nth);
}
