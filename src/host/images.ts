/** Raw files and block devices directly, other image formats through qemu-nbd and qemu-img. */
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as fsp from 'node:fs/promises';
import { promisify } from 'node:util';
import type { ImageReader, Images, ImageWriter } from '../agent/ports.ts';
import { fail } from '../base/errors.ts';
import { ImageWatch } from './image-watch.ts';
import { openWithQemu, writeWithQemu } from './qemu.ts';

/** Formats are recognised by how their files begin; anything else is raw. */
const magics: readonly (readonly [format: string, at: number, magic: string])[] = [
  ['qcow2', 0, 'QFI\u00fb'],
  ['vmdk', 0, 'KDMV'],
  ['vmdk', 0, '# Disk DescriptorFile'],
  ['vhdx', 0, 'vhdxfile'],
  ['vpc', 0, 'conectix'],
  ['vdi', 64, '\u007f\u0010\u00da\u00be'],
  ['qed', 0, 'QED\u0000'],
];

const probeBytes = 512;
/** Below this the map of a file costs more than reading its holes. */
const mapBytesMin = 64 * 1024 * 1024;
const run = promisify(execFile);

export function createImages(temporaryDirectory: string): Images {
  return {
    open: async (path, format) => {
      const stat = await statOf(path);
      const found = format ?? (stat.isBlockDevice() ? 'raw' : await detect(path));
      if (found === 'raw') return openRaw(path, stat);
      return openWithQemu({ path, format: found, temporaryDirectory });
    },
    create: async ({ path, format = 'raw', sizeBytes, overwrite }) => {
      const there = await fsp.stat(path).catch(() => undefined);
      if (there !== undefined && !overwrite) {
        fail('AlreadyExists', `${path} exists; use --overwrite to replace it`);
      }
      if (there?.isDirectory() === true) fail('BadImage', `${path} is a directory`);
      const device = there?.isBlockDevice() === true;
      if (device && format !== 'raw') fail('BadImage', `a device takes raw data, not ${format}`);
      if (device) return writeDevice(path, sizeBytes);
      if (format === 'raw') return writeRaw(path, sizeBytes);
      return writeWithQemu({ path, format, sizeBytes, temporaryDirectory });
    },
  };
}

async function statOf(path: string): Promise<fs.Stats> {
  const stat = await fsp.stat(path).catch((error: unknown) => {
    fail('BadImage', `cannot read ${path}: ${(error as Error).message}`, error);
  });
  if (!stat.isFile() && !stat.isBlockDevice()) {
    fail('BadImage', `${path} is neither a file nor a block device`);
  }
  return stat;
}

async function detect(path: string): Promise<string> {
  const file = await openFile(path);
  try {
    const head = Buffer.alloc(probeBytes);
    await file.read(head, 0, probeBytes, 0);
    const text = head.toString('latin1');
    return magics.find(([, at, magic]) => text.startsWith(magic, at))?.[0] ?? 'raw';
  } finally {
    await file.close();
  }
}

async function openFile(path: string): Promise<fsp.FileHandle> {
  return fsp.open(path, 'r').catch((error: unknown) => {
    fail('BadImage', `cannot read ${path}: ${(error as Error).message}`, error);
  });
}

async function openRaw(path: string, stat: fs.Stats): Promise<ImageReader> {
  const watch = await ImageWatch.start(path);
  const file = await openFile(path);
  const sizeBytes = stat.isBlockDevice() ? deviceBytes(path, stat) : stat.size;
  const sparse = stat.isFile() && stat.blocks * 512 < sizeBytes && sizeBytes >= mapBytesMin;
  return {
    sizeBytes,
    format: 'raw',
    async *dataRanges() {
      const ranges = sparse ? await mapOf(path) : undefined;
      yield* ranges ?? [{ offset: 0, lengthBytes: sizeBytes }];
    },
    read: async (into, offset) => readFully({ file, path }, into, offset),
    checkUnchanged: () => watch.check(),
    close: () => file.close(),
  };
}

async function readFully(
  { file, path }: { readonly file: fsp.FileHandle; readonly path: string },
  into: Uint8Array,
  offset: number,
): Promise<void> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await file
      .read(into, done, into.length - done, offset + done)
      .catch((error: unknown) => fail('BadImage', `${path}: ${(error as Error).message}`, error));
    if (bytesRead === 0) fail('BadImage', `${path} became shorter while it was read`);
    done += bytesRead;
  }
}

/** Where a sparse file has data; undefined without qemu-img: then all of it is read. */
async function mapOf(
  path: string,
): Promise<{ readonly offset: number; readonly lengthBytes: number }[] | undefined> {
  interface Piece {
    readonly start: number;
    readonly length: number;
    readonly data: boolean;
  }
  try {
    const args = ['map', '--output=json', '-f', 'raw', path];
    const { stdout } = await run('qemu-img', args, { maxBuffer: 256 * 1024 * 1024 });
    return (JSON.parse(stdout) as Piece[])
      .filter(({ data }) => data)
      .map(({ start, length }) => ({ offset: start, lengthBytes: length }));
  } catch {
    return undefined;
  }
}

/** From sysfs, which counts in 512-byte units whatever the device's sectors are. */
function deviceBytes(path: string, stat: fs.Stats): number {
  const major = ((stat.rdev >> 8) & 0xfff) | 0;
  const minor = (stat.rdev & 0xff) | ((stat.rdev >> 12) & 0xfff00);
  try {
    return Number(fs.readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512;
  } catch (error) {
    return fail('BadImage', `cannot tell the size of ${path}`, error);
  }
}

/** Written beside its place and renamed at the end: a crash leaves no half image under its name. */
async function writeRaw(path: string, sizeBytes: number): Promise<ImageWriter> {
  const partial = `${path}.partial`;
  const file = await openForWriting(partial, 'w');
  await file.truncate(sizeBytes);
  return {
    write: (from, offset) => writeFully(file, from, offset),
    finish: async () => {
      await file.sync();
      await file.close();
      await fsp.rename(partial, path);
    },
    abandon: async () => {
      await file.close();
      await fsp.rm(partial, { force: true });
    },
  };
}

/** A device keeps what it had where the volume has holes, so it must be zeroed or discarded. */
async function writeDevice(path: string, sizeBytes: number): Promise<ImageWriter> {
  const stat = await fsp.stat(path);
  const roomBytes = deviceBytes(path, stat);
  if (roomBytes < sizeBytes) {
    fail('BadImage', `${path} has ${roomBytes} bytes, the volume has ${sizeBytes}`);
  }
  const file = await openForWriting(path, 'r+');
  const zeroes = Buffer.alloc(4 * 1024 * 1024);
  let end = 0;
  const zeroTo = async (offset: number) => {
    for (; end < offset; end += zeroes.length) {
      await writeFully(file, zeroes.subarray(0, Math.min(zeroes.length, offset - end)), end);
    }
  };
  return {
    write: async (from, offset) => {
      await zeroTo(offset);
      await writeFully(file, from, offset);
      end = offset + from.length;
    },
    finish: async () => {
      await zeroTo(sizeBytes);
      await file.sync();
      await file.close();
    },
    abandon: () => file.close(),
  };
}

async function openForWriting(path: string, flags: string): Promise<fsp.FileHandle> {
  return fsp.open(path, flags, 0o600).catch((error: unknown) => {
    fail('BadImage', `cannot write ${path}: ${(error as Error).message}`, error);
  });
}

async function writeFully(file: fsp.FileHandle, from: Uint8Array, offset: number): Promise<void> {
  let done = 0;
  while (done < from.length) {
    const { bytesWritten } = await file
      .write(from, done, from.length - done, offset + done)
      .catch((error: unknown) => {
        const full = (error as NodeJS.ErrnoException).code === 'ENOSPC';
        fail(full ? 'LimitExceeded' : 'DiskFailed', (error as Error).message, error);
      });
    done += bytesWritten;
  }
}
