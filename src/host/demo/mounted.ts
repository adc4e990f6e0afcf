/** The application on a mounted ext4 file system: a directory tree and a SQLite database. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type {
  Acknowledged,
  Application,
  FileRead,
  FileShare,
  Found,
  Place,
  Writer,
} from './application.ts';
import type { Filled } from './mounted-parts.ts';
import type { Programs } from './programs.ts';

export interface Tree {
  readonly roots: readonly string[];
  readonly bytesMax: number;
  readonly manifest: string;
}

export interface MountedOptions {
  readonly programs: Programs;
  /** `transship`, with the command shown. */
  readonly command: (words: readonly string[]) => Promise<string>;
  readonly mounts: string;
  readonly tree: Tree;
}

const paceMs = 20;
const editFiles = { files: 8, bytes: 100_000 };

export function mountedApplication(options: MountedOptions): Application {
  const { programs, command, mounts, tree } = options;
  const directoryOf = ({ cluster, volume }: Place) => path.join(mounts, cluster, volume);
  const databaseOf = (place: Place) => path.join(directoryOf(place), 'shop.sqlite');
  const attach = async (place: Place, ...more: readonly string[]) => {
    const { volume, cluster } = place;
    const directory = directoryOf(place);
    fs.mkdirSync(path.dirname(directory), { recursive: true });
    const words = ['volume', 'attach', volume, '--mount', directory, ...more];
    await command([...words, '--cluster', cluster]);
  };
  return {
    about: 'an ext4 file system with a directory tree and a SQLite database',
    checkName: 'integrity_check, every checksum, and orders against stock',
    fill: async (place) => {
      await attach(place, '--format', 'ext4');
      const request = { ...tree, to: path.join(directoryOf(place), 'tree') };
      return (await programs.run<Filled>('copy-tree', request))[0]!;
    },
    startWriter: async (place) => {
      return startWriter(programs, 'write-shop', { database: databaseOf(place), paceMs });
    },
    open: async (place) => attach(place),
    check: async (place) => {
      return (await programs.run<Found>('check-shop', { database: databaseOf(place) }))[0]!;
    },
    readFiles: async (place, share: FileShare, onFile) => {
      const at = path.join(directoryOf(place), 'tree');
      return readWith(programs, 'read-tree', { at, manifest: tree.manifest, share }, onFile);
    },
    edit: async (place, edits) => {
      await programs.run('edit-shop', { database: databaseOf(place), edits });
      const to = path.join(directoryOf(place), 'tree', 'new');
      await programs.run('add-files', { ...editFiles, to });
    },
    close: async ({ volume, cluster }) => {
      await command(['volume', 'detach', volume, '--cluster', cluster]);
    },
  };
}

/** Resolves when the first record is acknowledged. */
export async function startWriter(
  programs: Programs,
  part: string,
  request: object,
): Promise<Writer> {
  const acknowledged: Acknowledged[] = [];
  const first = Promise.withResolvers<void>();
  const writer = programs.start<Acknowledged>(part, request, (line) => {
    acknowledged.push(line);
    first.resolve();
  });
  await Promise.race([first.promise, writer.ended]);
  return { acknowledged, stop: () => writer.end() };
}

export async function readWith(
  programs: Programs,
  part: string,
  request: object,
  onFile: ((file: FileRead) => void) | undefined,
): Promise<readonly FileRead[]> {
  const files: FileRead[] = [];
  const reader = programs.start<FileRead>(part, request, (file) => {
    files.push(file);
    onFile?.(file);
  });
  await reader.ended;
  return files;
}
