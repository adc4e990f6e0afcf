// A small disk of a test's own, to be filled: ext4 through a loop device.
import {
  appendFileSync,
  mkdirSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { missing, must, run, scratch } from './tools.ts';

/** Why there can be none. */
export const noDisk =
  process.getuid?.() === 0 ? missing('mkfs.ext4', 'losetup', 'mount', 'fallocate') : 'needs root';

export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Somebody else takes all but so many bytes, until `free`. */
  fill(leftBytes: number): Promise<void>;
  free(): void;
}

export async function smallDisk(sizeBytes: number): Promise<SmallDisk> {
  const directory = scratch();
  const image = join(directory.path, 'image');
  const path = join(directory.path, 'disk');
  const other = join(path, 'other');
  writeFileSync(image, '');
  truncateSync(image, sizeBytes);
  mkdirSync(path);
  await must('mkfs.ext4', '-q', '-m', '0', image);
  await must('mount', '-o', 'loop', image, path);
  return {
    path,
    fill: async (leftBytes) => {
      const { bavail, bsize } = statfsSync(path);
      // What says where the blocks of a file are takes a few itself.
      const ownBytes = 8 * 1024 * 1024;
      const bytes = Math.max(bsize, bavail * bsize - Math.max(ownBytes, leftBytes));
      await must('fallocate', '-l', String(bytes), other);
      if (leftBytes < ownBytes) writeToTheEnd(other);
    },
    free: () => rmSync(other, { force: true }),
    [Symbol.asyncDispose]: async () => {
      await run('umount', '-l', path);
      directory[Symbol.dispose]();
    },
  };
}

/** Until the disk refuses even a block. */
function writeToTheEnd(path: string): void {
  for (let bytes = 1024 * 1024; bytes >= 4096; ) {
    try {
      appendFileSync(path, Buffer.alloc(bytes));
    } catch {
      bytes /= 2;
    }
  }
}
