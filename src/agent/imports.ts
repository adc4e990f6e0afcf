/** Images into volumes and volumes into images, through the engine's `ingest` and reads. */
import { asTransshipError, fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../base/ports.ts';
import { roundUp } from '../base/units.ts';
import type { HistoryPolicy, Moment, VolumeApi } from '../volume/api.ts';
import { readDocument, replaceDocument } from '../volume/document.ts';
import { extentsOf, type PlacedExtent } from './extents.ts';
import type { JobControl, JobResult } from './jobs.ts';
import type { Located, Pools } from './pools.ts';
import type { ImageReader, Images, ImageWriter, OpenPool } from './ports.ts';

export interface ImportRequest {
  readonly name: string;
  readonly path: string;
  readonly format: string | undefined;
  readonly blockBytes: number | undefined;
  readonly policy: HistoryPolicy;
  readonly pool: OpenPool;
  /** Bring an existing volume to the content of the image. */
  readonly update: boolean;
}

export interface ExportRequest {
  readonly volume: string;
  readonly path: string;
  readonly format: string | undefined;
  readonly moment: Moment;
  readonly overwrite: boolean;
}

/** One read and one `ingest`; whole blocks of every block size. */
const pieceBytes = 4 * 1024 * 1024;
/** Pieces on their way at once: one read, one hashed per core, one appended. */
const piecesMax = 4;

const documentPath = 'unfinished.json';

export class Imports {
  readonly #home: Disk;
  readonly #images: Images;
  readonly #pools: Pools;
  /** Volumes that must not outlive their job; written before they are made. */
  readonly #unfinished: Set<string>;

  constructor(home: Disk, images: Images, pools: Pools) {
    this.#home = home;
    this.#images = images;
    this.#pools = pools;
    const saved = readDocument(home, documentPath) as { readonly volumes?: string[] } | undefined;
    this.#unfinished = new Set(saved?.volumes ?? []);
  }

  /** Removes what jobs of an agent that died left behind; resolves with the names. */
  async cleanUp(): Promise<readonly string[]> {
    const removed: string[] = [];
    for (const name of new Set(this.#unfinished)) {
      const found = this.#pools.find(name);
      if (found !== undefined) {
        await found.pool.api.deleteVolume(name);
        removed.push(name);
      }
      this.#mark(name, false);
    }
    return removed;
  }

  async import(request: ImportRequest, control: JobControl): Promise<JobResult> {
    const existing = this.#pools.find(request.name);
    if (existing !== undefined && !request.update) this.#pools.checkFree(request.name);
    const reader = await this.#images.open(request.path, request.format);
    try {
      if (existing !== undefined) return await this.#update(existing, reader, control);
      return await this.#create(request, reader, control);
    } finally {
      await reader.close();
    }
  }

  async #create(
    request: ImportRequest,
    reader: ImageReader,
    control: JobControl,
  ): Promise<JobResult> {
    const { name, pool, policy, blockBytes } = request;
    this.#mark(name, true);
    try {
      const volume = await pool.api.createVolume({
        name,
        sizeBytes: sizeFor(reader),
        policy,
        ...(blockBytes === undefined ? {} : { blockBytes }),
      });
      const result = await fill({ pool, volume }, reader, { control, zeroHoles: false });
      this.#mark(name, false);
      return result;
    } catch (error) {
      if (this.#pools.find(name) !== undefined) await pool.api.deleteVolume(name);
      this.#mark(name, false);
      throw error;
    }
  }

  async #update(located: Located, reader: ImageReader, control: JobControl): Promise<JobResult> {
    const { volume } = located;
    if (volume.doors().length > 0) {
      fail('InUse', `volume ${volume.name} is used by ${volume.doors().join(', ')}`);
    }
    const sizeBytes = sizeFor(reader);
    if (sizeBytes < volume.sizeBytes) {
      fail('BadImage', `the image is smaller than volume ${volume.name}; resize the volume first`);
    }
    if (sizeBytes > volume.sizeBytes) await volume.resize(sizeBytes);
    // An update that fails half way leaves neither image: the snapshot is the way back.
    const backup = `before-update-${volume.status().root.slice(0, 12)}`;
    const kept = volume.listSnapshots().some((snapshot) => snapshot.name === backup);
    if (!kept) await volume.snapshot(backup);
    try {
      const result = await fill(located, reader, { control, zeroHoles: true });
      await volume.deleteSnapshot(backup);
      return result;
    } catch (error) {
      await volume.restore({ snapshot: backup });
      await volume.deleteSnapshot(backup);
      throw error;
    }
  }

  async export(request: ExportRequest, control: JobControl): Promise<JobResult> {
    const { pool, volume } = await this.#pools.whole(request.volume);
    // A clone is the moment itself: what clients write meanwhile does not reach the file.
    const name = `${request.volume.slice(0, 40)}-export-${volume.id.slice(0, 8)}`;
    this.#mark(name, true);
    try {
      const clone = await pool.api.cloneVolume(request.volume, request.moment, { name });
      const writer = await this.#images.create({
        path: request.path,
        format: request.format,
        sizeBytes: clone.sizeBytes,
        overwrite: request.overwrite,
      });
      try {
        const dataBytes = await copyOut(clone, writer, control);
        await writer.finish();
        return { logicalBytes: clone.sizeBytes, dataBytes, root: clone.status().root };
      } catch (error) {
        await writer.abandon();
        throw error;
      }
    } finally {
      if (this.#pools.find(name) !== undefined) await pool.api.deleteVolume(name);
      this.#mark(name, false);
    }
  }

  #mark(name: string, unfinished: boolean): void {
    if (unfinished) this.#unfinished.add(name);
    else this.#unfinished.delete(name);
    replaceDocument(this.#home, documentPath, { volumes: [...this.#unfinished] });
  }
}

/** Whole sectors, and at least the smallest volume: what follows the image reads as zeroes. */
function sizeFor(reader: ImageReader): number {
  const { volumeBytesMin, volumeBytesMax, sectorBytes } = limits;
  if (reader.sizeBytes > volumeBytesMax) fail('BadSize', 'the image is larger than 64 TiB');
  return Math.max(volumeBytesMin, roundUp(reader.sizeBytes, sectorBytes));
}

interface Filling {
  readonly control: JobControl;
  /** Where the image has holes, make the volume have them too. */
  readonly zeroHoles: boolean;
}

async function fill(
  { pool, volume }: Located,
  reader: ImageReader,
  { control, zeroHoles }: Filling,
): Promise<JobResult> {
  const closeDoor = volume.openDoor('import');
  const window = new Window(piecesMax);
  const buffers = new Buffers();
  let dataBytes = 0;
  try {
    let nextOffset = 0;
    for await (const range of reader.dataRanges()) {
      const first = Math.floor(range.offset / volume.blockSizeBytes) * volume.blockSizeBytes;
      const start = Math.max(first, nextOffset);
      const end = Math.min(
        roundUp(range.offset + range.lengthBytes, volume.blockSizeBytes),
        roundUp(volume.sizeBytes, volume.blockSizeBytes),
      );
      if (zeroHoles && start > nextOffset) await zero({ pool, volume }, nextOffset, start);
      for (let offset = start; offset < end; offset += pieceBytes) {
        control.signal.throwIfAborted();
        const bytes = buffers.next(Math.min(pieceBytes, end - offset));
        await readPiece(reader, offset, bytes);
        await window.add(pool.api.ingest(volume, offset / volume.blockSizeBytes, bytes));
        dataBytes += bytes.length;
        control.progress(offset + bytes.length, reader.sizeBytes);
      }
      nextOffset = Math.max(nextOffset, end);
    }
    const wholeEnd = roundUp(volume.sizeBytes, volume.blockSizeBytes);
    if (zeroHoles && nextOffset < wholeEnd) await zero({ pool, volume }, nextOffset, wholeEnd);
    await window.drain();
    control.signal.throwIfAborted();
    await reader.checkUnchanged();
    const version = await volume.seal();
    control.progress(reader.sizeBytes, reader.sizeBytes);
    const root = Buffer.from(version.root).toString('hex');
    return { logicalBytes: reader.sizeBytes, dataBytes, root };
  } catch (error) {
    await window.drain().catch(() => undefined);
    throw control.signal.aborted ? asTransshipError(control.signal.reason) : error;
  } finally {
    closeDoor();
  }
}

/** Whole blocks; what lies behind the image's end is zeroes. */
async function readPiece(reader: ImageReader, offset: number, into: Uint8Array): Promise<void> {
  const there = Math.min(into.length, reader.sizeBytes - offset);
  await reader.read(into.subarray(0, there), offset);
  into.fill(0, there);
}

/**
 * Buffers in turns: new ones for each piece cost a quarter of the time of an import. When a piece
 * is read, the one `piecesMax` before it was taken out of the window.
 */
class Buffers {
  readonly #buffers: Uint8Array[] = [];
  #next = 0;

  next(bytes: number): Uint8Array {
    const at = this.#next++ % piecesMax;
    const buffer = (this.#buffers[at] ??= new Uint8Array(pieceBytes));
    return buffer.subarray(0, bytes);
  }
}

/** Only what is not a hole yet: an unchanged image then changes nothing. */
async function zero({ pool, volume }: Located, from: number, to: number): Promise<void> {
  const end = Math.min(to, volume.sizeBytes);
  for await (const extent of extentsOf(volume, from, end)) {
    if (!extent.hole) await zeroExtent({ pool, volume }, extent);
  }
}

async function zeroExtent({ pool, volume }: Located, extent: PlacedExtent): Promise<void> {
  const block = volume.blockSizeBytes;
  const end = roundUp(extent.offset + extent.lengthBytes, block);
  const start = Math.floor(extent.offset / block) * block;
  for (let at = start; at < end; at += pieceBytes) {
    const length = Math.min(pieceBytes, end - at);
    await pool.api.ingest(volume, at / block, new Uint8Array(length));
  }
}

async function copyOut(
  clone: VolumeApi,
  writer: ImageWriter,
  control: JobControl,
): Promise<number> {
  const total = clone.sizeBytes;
  const buffer = new Uint8Array(pieceBytes);
  let dataBytes = 0;
  for await (const extent of extentsOf(clone, 0, total)) {
    const end = extent.offset + extent.lengthBytes;
    control.signal.throwIfAborted();
    for (let offset = extent.offset; !extent.hole && offset < end; offset += pieceBytes) {
      control.signal.throwIfAborted();
      const piece = buffer.subarray(0, Math.min(pieceBytes, end - offset));
      await clone.read(piece, offset);
      await writer.write(piece, offset);
      dataBytes += piece.length;
      control.progress(offset + piece.length, total);
    }
    control.progress(end, total);
  }
  return dataBytes;
}

/** A bounded number of promises under way; the first failure is thrown by the next call. */
class Window {
  readonly #max: number;
  readonly #underWay: Promise<void>[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  async add(work: Promise<void>): Promise<void> {
    // A failure is seen when its turn comes; until then it must not count as unhandled.
    work.catch(() => undefined);
    this.#underWay.push(work);
    if (this.#underWay.length >= this.#max) await this.#underWay.shift();
  }

  async drain(): Promise<void> {
    while (this.#underWay.length > 0) await this.#underWay.shift();
  }
}
