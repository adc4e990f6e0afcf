/** Files and directories that pods see as volumes. */
import fs from 'node:fs';
import path from 'node:path';
import { fail } from '../../base/errors.ts';
import type { PodFile, PodFiles } from '../../embedded/runtime/ports.ts';

const dataLink = '..data';

export function createPodFiles(root: string): PodFiles {
  const volumeOf = (pod: string, volume: string) => path.join(root, 'pods', pod, 'volumes', volume);
  const noteOf = (pod: string, name: string) => path.join(root, 'pods', pod, `${name}.note`);
  return {
    makeDirectory: (pod, volume) => {
      const directory = volumeOf(pod, volume);
      if (!fs.existsSync(directory)) {
        fs.mkdirSync(directory, { recursive: true });
        // Containers of one pod may be different users.
        fs.chmodSync(directory, 0o777);
      }
      return directory;
    },
    writeFiles: (pod, volume, files) => writeFiles(volumeOf(pod, volume), files),
    checkHostPath,
    subPath,
    note: (pod, name, text) => {
      if (text === undefined) return fs.rmSync(noteOf(pod, name), { force: true });
      fs.mkdirSync(path.join(root, 'pods', pod), { recursive: true });
      fs.writeFileSync(`${noteOf(pod, name)}.new`, text, { mode: 0o600 });
      fs.renameSync(`${noteOf(pod, name)}.new`, noteOf(pod, name));
    },
    readNote: (pod, name) => {
      const file = noteOf(pod, name);
      return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
    },
  };
}

/** All files change at once: they are links through one link to a directory of this version. */
function writeFiles(directory: string, files: readonly PodFile[]): string {
  fs.mkdirSync(directory, { recursive: true });
  const link = path.join(directory, dataLink);
  const before = fs.existsSync(link) ? fs.readlinkSync(link) : undefined;
  if (before !== undefined && isSame(path.join(directory, before), files)) return directory;
  const version = nextVersion(directory);
  for (const { path: name, content, mode } of files) {
    const file = inside(path.join(directory, version), name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content);
    fs.chmodSync(file, mode);
  }
  fs.mkdirSync(path.join(directory, version), { recursive: true });
  fs.symlinkSync(version, `${link}.new`);
  fs.renameSync(`${link}.new`, link);
  const tops = new Set(files.map(({ path: name }) => name.split('/')[0] ?? ''));
  for (const top of tops) {
    const visible = path.join(directory, top);
    if (!fs.lstatSync(visible, { throwIfNoEntry: false })) {
      fs.symlinkSync(path.join(dataLink, top), visible);
    }
  }
  for (const name of fs.readdirSync(directory)) {
    const isOurs = name === dataLink || name === version || tops.has(name);
    if (!isOurs) fs.rmSync(path.join(directory, name), { recursive: true, force: true });
  }
  return directory;
}

function nextVersion(directory: string): string {
  const numbers = fs
    .readdirSync(directory)
    .map((name) => Number(/^\.\.v(\d+)$/.exec(name)?.[1] ?? 0));
  const version = `..v${Math.max(0, ...numbers) + 1}`;
  fs.rmSync(path.join(directory, `${dataLink}.new`), { force: true });
  return version;
}

function isSame(directory: string, files: readonly PodFile[]): boolean {
  if (!fs.existsSync(directory)) return false;
  const present = fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile());
  if (present.length !== files.length) return false;
  return files.every(({ path: name, content, mode }) => {
    const file = inside(directory, name);
    if (!fs.existsSync(file)) return false;
    const isMode = (fs.statSync(file).mode & 0o777) === (mode & 0o777);
    return isMode && fs.readFileSync(file).equals(content);
  });
}

function inside(directory: string, name: string): string {
  const full = path.resolve(directory, name);
  if (!full.startsWith(`${directory}${path.sep}`))
    fail('Invalid', `${name} leads out of its volume`);
  return full;
}

function subPath(directory: string, name: string): string {
  const full = inside(path.resolve(directory), name);
  if (!fs.existsSync(full)) fs.mkdirSync(full, { recursive: true });
  // Links that lead elsewhere are not followed out of the volume.
  const real = fs.realpathSync(full);
  const base = fs.realpathSync(directory);
  if (real !== base && !real.startsWith(`${base}${path.sep}`)) {
    fail('Invalid', `subPath ${name} leads out of its volume`);
  }
  return real;
}

function checkHostPath(at: string, type: string): void {
  const found = fs.statSync(at, { throwIfNoEntry: false });
  const bad = (what: string): never => fail('Invalid', `hostPath ${at} is not ${what}`);
  switch (type) {
    case 'DirectoryOrCreate':
      if (found === undefined) fs.mkdirSync(at, { recursive: true, mode: 0o755 });
      else if (!found.isDirectory()) bad('a directory');
      return;
    case 'FileOrCreate':
      if (found === undefined) fs.writeFileSync(at, '', { mode: 0o644 });
      else if (!found.isFile()) bad('a file');
      return;
    case 'Directory':
      return found?.isDirectory() === true ? undefined : bad('a directory');
    case 'File':
      return found?.isFile() === true ? undefined : bad('a file');
    case 'Socket':
      return found?.isSocket() === true ? undefined : bad('a socket');
    case 'BlockDevice':
      return found?.isBlockDevice() === true ? undefined : bad('a block device');
    case 'CharDevice':
      return found?.isCharacterDevice() === true ? undefined : bad('a character device');
    default:
      return found === undefined ? bad('there') : undefined;
  }
}
