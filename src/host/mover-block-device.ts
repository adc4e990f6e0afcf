/** Raw devices and files for the block mover (`RawDevice` of src/files/block-ports.ts). */
import * as fs from 'node:fs/promises';
import { constants } from 'node:fs';
import { fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Reason } from '../base/reasons.ts';
import type { RawDevice } from '../files/block-ports.ts';

export interface OpenRawDevice extends RawDevice {
  close(): Promise<void>;
}

const zeroes = Buffer.alloc(1024 * 1024);

/** To read from. `NotFound`, `DiskFailed`, `BadArgument` (neither a file nor a block device). */
export async function openSource(path: string): Promise<OpenRawDevice> {
  const handle = await attempt('open', path, () => fs.open(path, constants.O_RDONLY));
  return device(handle, path);
}

/**
 * To write to. A regular file is made when it is absent, for its owner only, and may grow while it
 * is empty. A block device is claimed, so that it cannot be mounted meanwhile: `InUse` when it is.
 */
export async function openDestination(path: string): Promise<OpenRawDevice> {
  const found = await fs.stat(path).catch(() => undefined);
  const isBlockDevice = found?.isBlockDevice() === true;
  const extra = isBlockDevice ? constants.O_EXCL : constants.O_CREAT;
  const flags = constants.O_RDWR | extra;
  const handle = await attempt('open', path, () => fs.open(path, flags, 0o600));
  return device(handle, path);
}

async function device(handle: fs.FileHandle, path: string): Promise<OpenRawDevice> {
  try {
    const stat = await attempt('stat', path, () => handle.stat());
    if (!stat.isFile() && !stat.isBlockDevice()) {
      fail('BadArgument', `${path} is neither a file nor a block device`);
    }
    const sizeBytes = stat.isFile() ? stat.size : await sizeOf(handle, path);
    return new HostRawDevice({
      handle,
      path,
      sizeBytes,
      mayGrow: stat.isFile() && stat.size === 0,
    });
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The kernel says a block device has no bytes, and Node cannot ask it otherwise: reading tells. */
async function sizeOf(handle: fs.FileHandle, path: string): Promise<number> {
  const sector = Buffer.alloc(512);
  let [low, high] = [0, limits.volumeBytesMax / sector.length + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const at = middle * sector.length;
    const { bytesRead } = await attempt('read', path, () => handle.read(sector, 0, 512, at));
    if (bytesRead === sector.length) low = middle + 1;
    else high = middle;
  }
  return low * sector.length;
}

interface Opened {
  readonly handle: fs.FileHandle;
  readonly path: string;
  readonly sizeBytes: number;
  readonly mayGrow: boolean;
}

class HostRawDevice implements OpenRawDevice {
  readonly grow?: (sizeBytes: number) => Promise<void>;
  readonly #handle: fs.FileHandle;
  readonly #path: string;
  #sizeBytes: number;

  constructor({ handle, path, sizeBytes, mayGrow }: Opened) {
    this.#handle = handle;
    this.#path = path;
    this.#sizeBytes = sizeBytes;
    if (mayGrow) this.grow = (bytes) => this.#grow(bytes);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async read(into: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const left = into.length - done;
      const { bytesRead } = await attempt('read', this.#path, () =>
        this.#handle.read(into, done, left, position + done),
      );
      if (bytesRead === 0) fail('DiskFailed', `${this.#path} ends at byte ${position + done}`);
      done += bytesRead;
    }
  }

  async write(from: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < from.length; ) {
      const left = from.length - done;
      const { bytesWritten } = await attempt('write', this.#path, () =>
        this.#handle.write(from, done, left, position + done),
      );
      done += bytesWritten;
    }
  }

  async zero(position: number, lengthBytes: number): Promise<void> {
    for (let done = 0; done < lengthBytes; done += zeroes.length) {
      const part = zeroes.subarray(0, Math.min(zeroes.length, lengthBytes - done));
      await this.write(part, position + done);
    }
  }

  flush(): Promise<void> {
    return attempt('sync', this.#path, () => this.#handle.datasync());
  }

  async #grow(sizeBytes: number): Promise<void> {
    await attempt('enlarge', this.#path, () => this.#handle.truncate(sizeBytes));
    this.#sizeBytes = sizeBytes;
  }

  close(): Promise<void> {
    return attempt('close', this.#path, () => this.#handle.close());
  }
}

const reasonsByCode: Readonly<Record<string, Reason>> = {
  ENOSPC: 'PoolFull',
  EDQUOT: 'PoolFull',
  EFBIG: 'PoolFull',
  ENOENT: 'NotFound',
  EBUSY: 'InUse',
  EACCES: 'NotAllowed',
  EISDIR: 'BadArgument',
};

async function attempt<T>(action: string, path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'ERR_';
    if (code.startsWith('ERR_')) throw error;
    const text = `cannot ${action} ${path}: ${code}`;
    throw new TransshipError(reasonsByCode[code] ?? 'DiskFailed', text, { cause: error });
  }
}
