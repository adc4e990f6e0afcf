/** Makes a volume ready for a restore in place, and gives its directories what restic does not. */
import fs from 'node:fs';
import type { ManifestEntry } from '../../files/manifest.ts';

const slash = Buffer.from('/');

/** Paths of lists have a character for each byte. */
export function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

function below(root: string, path: string): Buffer {
  const base = Buffer.from(root.replace(/\/+$/, ''));
  return path === '' ? base : Buffer.concat([base, slash, bytesOf(path)]);
}

/** What is gone already is removed. */
export function removeAll(root: string, paths: readonly string[]): void {
  for (const path of paths) fs.rmSync(below(root, path), { recursive: true, force: true });
}

/** Links, pipes, devices and files of several names: restic 0.14 makes none where something is. */
export function removeSpecial(root: string): void {
  const waiting = [below(root, '')];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (const name of fs.readdirSync(at, { encoding: 'buffer' }) as Buffer[]) {
      const path = Buffer.concat([at, slash, name]);
      const found = fs.lstatSync(path);
      if (found.isDirectory()) waiting.push(path);
      else if (!found.isFile() || found.nlink > 1) fs.rmSync(path);
    }
  }
}

/** The deepest first: what is done in a directory changes its time. */
export function applyDirectories(
  root: string,
  directories: readonly ManifestEntry[],
  keepsOwners: boolean,
): void {
  for (const entry of directories.toReversed()) {
    const path = below(root, entry.path);
    try {
      apply(path, entry, keepsOwners);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Who is not root changes nothing of a directory that belongs to the node.
      if (code !== 'EPERM' && code !== 'ENOENT') throw error;
    }
  }
}

function apply(path: Buffer, entry: ManifestEntry, keepsOwners: boolean): void {
  const found = fs.lstatSync(path);
  if (keepsOwners && (found.uid !== entry.uid || found.gid !== entry.gid)) {
    fs.chownSync(path, entry.uid, entry.gid);
  }
  if ((found.mode & 0o7777) !== entry.mode) fs.chmodSync(path, entry.mode);
  const microseconds = BigInt(entry.mtimeNs ?? '0') / 1000n;
  // A fraction of a second is not exact as a number: from the middle it is cut to the right one.
  const fraction = (Number(microseconds % 1_000_000n) + 0.5) / 1e6;
  const seconds = Number(microseconds / 1_000_000n) + fraction;
  fs.utimesSync(path, seconds, seconds);
}
