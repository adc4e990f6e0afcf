import * as fs from 'node:fs';
import { join } from 'node:path';
import { assert, TransshipError } from '../base/errors.ts';
import type { Disk, DiskFile } from '../base/ports.ts';
import type { Reason } from '../base/reasons.ts';

/** A directory of the file system as a `Disk`; it is made when absent, for its owner only. */
export function createDisk(directory: string): Disk {
  attempt('make', directory, () => fs.mkdirSync(directory, { recursive: true, mode: 0o700 }));
  const at = (path: string) => locate(directory, path);
  return {
    open: (path, options) => openFile(at(path), path, options?.create ?? false),
    exists: (path) => fs.existsSync(at(path)),
    list: (path) => listNames(at(path)),
    makeDirectory: (path) =>
      void attempt('make', path, () => fs.mkdirSync(at(path), { recursive: true, mode: 0o700 })),
    remove: (path) => attempt('remove', path, () => fs.unlinkSync(at(path))),
    rename: (from, to) => attempt('rename', from, () => fs.renameSync(at(from), at(to))),
    syncDirectory: (path) => syncDirectory(at(path)),
    space: () => {
      const { bsize, blocks, bavail } = attempt('stat', directory, () => fs.statfsSync(directory));
      return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
    },
  };
}

function locate(directory: string, path: string): string {
  const inside = !path.startsWith('/') && !path.split('/').includes('..');
  assert(inside, `path ${path} leaves the directory of its disk`);
  return join(directory, path);
}

function listNames(place: string): string[] {
  if (!fs.existsSync(place)) return [];
  return attempt('list', place, () => fs.readdirSync(place)).sort();
}

function syncDirectory(place: string): void {
  attempt('sync', place, () => {
    const descriptor = fs.openSync(place, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    try {
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  });
}

function openFile(place: string, path: string, create: boolean): DiskFile {
  const flags = fs.constants.O_RDWR | (create ? fs.constants.O_CREAT : 0);
  const descriptor = attempt('open', path, () => fs.openSync(place, flags, 0o600));
  return createDiskFile(descriptor, path);
}

function createDiskFile(descriptor: number, path: string): DiskFile {
  const handle = createHandle(descriptor, path);
  const { use } = handle;
  return {
    path,
    read: (into, position) => use('read', (fd) => readFully(fd, into, position)),
    readLater: (into, position) => handle.later((fd) => readLater({ fd, path, into, position })),
    write: (parts, position) => use('write', (fd) => writeFully(fd, parts, position)),
    syncLater: () => handle.later((fd) => syncLater(fd, path)),
    sync: () => use('sync', (fd) => fs.fdatasyncSync(fd)),
    sizeBytes: () => use('stat', (fd) => fs.fstatSync(fd).size),
    truncate: (sizeBytes) => use('truncate', (fd) => fs.ftruncateSync(fd, sizeBytes)),
    close: handle.close,
  };
}

/**
 * Guards the descriptor: once closed its number may belong to another file, so a call that comes
 * late is a bug, and closing waits for calls that the thread pool still runs.
 */
function createHandle(descriptor: number, path: string) {
  let running = 0;
  let closed = false;
  const release = () => attempt('close', path, () => fs.closeSync(descriptor));
  return {
    use: <T>(action: string, call: (fd: number) => T): T => {
      assert(!closed, `${action} after close of ${path}`);
      return attempt(action, path, () => call(descriptor));
    },
    later: async <T>(call: (fd: number) => Promise<T>): Promise<T> => {
      assert(!closed, `call after close of ${path}`);
      running += 1;
      try {
        return await call(descriptor);
      } finally {
        running -= 1;
        if (closed && running === 0) release();
      }
    },
    close: () => {
      if (closed) return;
      closed = true;
      if (running === 0) release();
    },
  };
}

function readFully(descriptor: number, into: Uint8Array, position: number): number {
  let done = 0;
  while (done < into.length) {
    const count = fs.readSync(descriptor, into, done, into.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

function writeFully(descriptor: number, parts: readonly Uint8Array[], position: number): void {
  let rest = parts;
  let at = position;
  while (rest.length > 0) {
    const [only] = rest;
    const count =
      rest.length === 1 && only !== undefined
        ? fs.writeSync(descriptor, only, 0, only.length, at)
        : fs.writevSync(descriptor, rest, at);
    at += count;
    rest = behind(rest, count);
  }
}

/** The parts that are left after `count` bytes of them; empty parts vanish. */
function behind(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let left = count;
  for (const [index, part] of parts.entries()) {
    if (left < part.length) return [part.subarray(left), ...parts.slice(index + 1)];
    left -= part.length;
  }
  return [];
}

interface ReadLater {
  readonly fd: number;
  readonly path: string;
  readonly into: Uint8Array;
  readonly position: number;
}

function readLater({ fd, path, into, position }: ReadLater): Promise<number> {
  return new Promise((resolve, reject) => {
    const step = (done: number) => {
      fs.read(fd, into, done, into.length - done, position + done, (error, count) => {
        if (error !== null) reject(diskError('read', path, error));
        else if (count === 0 || done + count === into.length) resolve(done + count);
        else step(done + count);
      });
    };
    step(0);
  });
}

function syncLater(descriptor: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(descriptor, (error) => {
      if (error === null) resolve();
      else reject(diskError('sync', path, error));
    });
  });
}

function attempt<T>(action: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw diskError(action, path, error);
  }
}

const reasonsByCode: Readonly<Record<string, Reason>> = {
  ENOSPC: 'PoolFull',
  EDQUOT: 'PoolFull',
  EFBIG: 'PoolFull',
  ENOENT: 'NotFound',
};

function diskError(action: string, path: string, error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const code = 'code' in error ? String(error.code) : 'ERR_';
  // Bad arguments are ours, and calling them a disk failure would hide the bug.
  if (code.startsWith('ERR_')) return error;
  const reason = reasonsByCode[code] ?? 'DiskFailed';
  const place = 'path' in error ? String(error.path) : path;
  const why = code === 'EROFS' ? 'the file system is read-only (EROFS)' : code;
  return new TransshipError(reason, `cannot ${action} ${place}: ${why}`, { cause: error });
}
