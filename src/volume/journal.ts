/**
 * The journal of a pool (docs/formats/journal.md): appends writes of all its volumes, makes them
 * durable in groups, gives back their content, and forgets files that nothing needs any more.
 */
import { crc32 } from 'node:zlib';
import { asTransshipError, assert, fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Clock, Disk, DiskFile, Random } from '../base/ports.ts';
import {
  encodeJournalHeader,
  entryKinds,
  FrameBuilder,
  type FrameEntry,
  frameHeaderBytes,
  saltBytes,
} from './frame.ts';
import type { Mark } from './replica-types.ts';

const sectorBytes = limits.sectorBytes;
const stagingBytes = 1024 * 1024;
/** Larger writes go to the file without a copy. */
const directBytes = 64 * 1024;
/**
 * Small appends grow the file in such steps, so that a sync need not write its length each time.
 */
const growBytes = 1024 * 1024;
const sparesMax = 4;
/** Sectors of one entry; keeps every frame's header at 4096 bytes. */
export const entrySectorsMax = 256;

export function journalPath(number: number): string {
  return `journal/${String(number).padStart(8, '0')}.log`;
}

interface JournalFile {
  readonly number: number;
  readonly file: DiskFile;
  /** Unguessable, in every frame: a guest's data can never pass for a frame. */
  readonly salt: Uint8Array;
  /** Where the next frame goes. */
  end: number;
  sizeBytes: number;
  lastSequence: number;
  dirty: boolean;
}

export interface JournalOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly poolId: Uint8Array;
  readonly fileBytes?: number;
  /** Called once when a write or sync failed: nothing more may be acknowledged. */
  readonly onFailure: (error: unknown) => void;
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #fileBytes: number;
  readonly #files = new Map<number, JournalFile>();
  readonly #builder = new FrameBuilder();
  readonly #staging: Uint8Array;
  readonly #spares: string[] = [];
  #spareCount = 0;
  #staged = 0;
  #current: JournalFile | undefined;
  #nextFile = 1;
  #corks = 0;
  #failed = false;
  /** Files were taken out of the directory since it was synced. */
  #removed = false;
  #running: Promise<void> = Promise.resolve();
  #waiting: Promise<void> | undefined;
  /** Sequence of the next frame. */
  nextSequence = 1;
  /** Highest sequence that is durable. */
  durable = 0;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#fileBytes = options.fileBytes ?? limits.journalFileBytes;
    this.#staging = new Uint8Array(Math.min(stagingBytes, this.#fileBytes));
  }

  /** Bytes in files that are still needed. */
  get liveBytes(): number {
    let bytes = 0;
    for (const file of this.#files.values()) bytes += file.end;
    return bytes;
  }

  /** Takes over what a replay found. Later frames go to a new file. */
  adopt(state: {
    readonly files: readonly {
      number: number;
      file: DiskFile;
      end: number;
      lastSequence: number;
    }[];
    readonly nextFile: number;
    readonly nextSequence: number;
    readonly spares: readonly string[];
  }): void {
    for (const { number, file, end, lastSequence } of state.files) {
      const sizeBytes = file.sizeBytes();
      const salt = new Uint8Array(saltBytes);
      this.#files.set(number, { number, file, salt, end, sizeBytes, lastSequence, dirty: false });
    }
    this.#nextFile = state.nextFile;
    this.nextSequence = state.nextSequence;
    this.durable = state.nextSequence - 1;
    this.#spares.push(...state.spares);
  }

  cork(): void {
    this.#corks++;
  }

  uncork(): void {
    assert(this.#corks > 0, 'uncork without cork');
    this.#corks--;
    if (this.#corks === 0) this.#writeStaged();
  }

  /**
   * Appends whole sectors. Returns the position of the first, in sectors from the start of the file
   * `currentFile`. Visible to `read` at once; given to the kernel by the end of the outermost cork.
   */
  append(volume: number, firstSector: number, data: Uint8Array, checksums: Uint32Array): number {
    const sectors = data.length / sectorBytes;
    assert(sectors <= entrySectorsMax, 'an entry holds at most entrySectorsMax sectors');
    const direct = data.length >= directBytes;
    if (!this.#builder.fits(sectors) || (direct && this.#builder.entries > 0)) this.#writeStaged();
    if (this.#staged + data.length > this.#staging.length) this.#writeStaged();
    let current = this.#room(data.length);
    if (current === undefined) {
      this.#writeStaged();
      current = this.#roll();
    }
    const position = (current.end + frameHeaderBytes + this.#staged) / sectorBytes;
    const entry = { volume, kind: entryKinds.write, firstSector, sectors };
    this.#builder.add(entry, checksums);
    if (direct) {
      this.#writeFrame(current, data);
    } else {
      this.#staging.set(data, this.#staged);
      this.#staged += data.length;
      if (this.#corks === 0) this.#writeStaged();
    }
    return position;
  }

  get currentFile(): number {
    return this.#current?.number ?? 0;
  }

  appendZero(volume: number, firstSector: number, sectors: number): void {
    this.#appendBare({ volume, kind: entryKinds.zero, firstSector, sectors });
  }

  /** All of the volume up to here is whole; with `drop`, what has no mark yet is nothing. */
  appendMark(volume: number, mark: Mark, kind: 'mark' | 'drop' = 'mark'): void {
    const { epoch, sequence } = mark;
    this.#appendBare({ volume, kind: entryKinds[kind], firstSector: sequence, sectors: epoch });
  }

  #appendBare(entry: FrameEntry): void {
    if (!this.#builder.fits(0)) this.#writeStaged();
    if (this.#room(0) === undefined) {
      this.#writeStaged();
      this.#roll();
    }
    this.#builder.add(entry, new Uint32Array(0));
    if (this.#corks === 0) this.#writeStaged();
  }

  /** Reads sectors that lie one after another from `position` (in sectors) of a live file. */
  read(into: Uint8Array, fileNumber: number, position: number): void {
    const file = this.#files.get(fileNumber);
    assert(file !== undefined, `journal file ${fileNumber} is live while something refers to it`);
    const at = position * sectorBytes;
    if (file === this.#current && at >= file.end) {
      const from = at - file.end - frameHeaderBytes;
      into.set(this.#staging.subarray(from, from + into.length));
      return;
    }
    const count = file.file.read(into, at);
    if (count < into.length)
      fail('DataCorrupt', `journal file ${fileNumber} is shorter than it was`);
  }

  /** Makes durable all that was appended before the call. Concurrent calls share one sync. */
  flush(): Promise<void> {
    if (this.#failed) return Promise.reject(this.#stopped());
    try {
      this.#writeStaged();
    } catch (error) {
      return Promise.reject(asTransshipError(error));
    }
    if (this.durable >= this.nextSequence - 1) return Promise.resolve();
    this.#waiting ??= this.#running.then(() => {
      this.#waiting = undefined;
      this.#running = this.#sync();
      return this.#running;
    });
    return this.#waiting;
  }

  /** Forgets files whose frames all have a sequence below `sequence`. */
  release(sequence: number): void {
    for (const file of this.#files.values()) {
      if (file === this.#current || file.lastSequence >= sequence) continue;
      this.#files.delete(file.number);
      if (this.#spares.length < sparesMax && file.sizeBytes === this.#fileBytes) {
        const spare = `journal/spare-${file.number}-${this.#spareCount++}`;
        this.#options.disk.rename(journalPath(file.number), spare);
        this.#spares.push(spare);
      } else {
        this.#options.disk.remove(journalPath(file.number));
      }
      this.#removed = true;
      file.file.close();
    }
  }

  close(): void {
    for (const file of this.#files.values()) file.file.close();
    this.#files.clear();
    this.#current = undefined;
  }

  #room(dataBytes: number): JournalFile | undefined {
    const current = this.#current;
    if (current === undefined) return undefined;
    const end = current.end + frameHeaderBytes + this.#staged + dataBytes;
    return end <= this.#fileBytes ? current : undefined;
  }

  #roll(): JournalFile {
    if (this.#failed) throw this.#stopped();
    const { disk, poolId, random } = this.#options;
    const salt = random.bytes(saltBytes);
    const number = this.#nextFile++;
    const path = journalPath(number);
    const spare = this.#spares.pop();
    if (spare !== undefined) disk.rename(spare, path);
    const file = disk.open(path, { create: spare === undefined });
    file.write([encodeJournalHeader(number, poolId, salt)], 0);
    disk.syncDirectory('journal');
    const next: JournalFile = {
      number,
      file,
      salt,
      end: frameHeaderBytes,
      sizeBytes: file.sizeBytes(),
      lastSequence: 0,
      dirty: true,
    };
    this.#files.set(number, next);
    this.#current = next;
    return next;
  }

  #writeStaged(): void {
    if (this.#builder.entries === 0) return;
    const current = this.#current;
    assert(current !== undefined, 'staged entries have a file');
    const data = this.#staging.subarray(0, this.#staged);
    this.#writeFrame(current, data);
    this.#staged = 0;
  }

  #writeFrame(current: JournalFile, data: Uint8Array): void {
    if (this.#failed) throw this.#stopped();
    const sequence = this.nextSequence;
    const wallMs = this.#options.clock.wallMs();
    const { number, salt } = current;
    const { durable } = this;
    const header = this.#builder.finish({ file: number, sequence, durable, wallMs, salt });
    const end = current.end + frameHeaderBytes + data.length;
    try {
      if (end > current.sizeBytes && data.length < directBytes) this.#grow(current, end);
      current.file.write(data.length > 0 ? [header, data] : [header], current.end);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    current.end = end;
    current.sizeBytes = Math.max(current.sizeBytes, end);
    current.lastSequence = sequence;
    current.dirty = true;
    this.nextSequence = sequence + 1;
  }

  #grow(current: JournalFile, end: number): void {
    const to = Math.min(this.#fileBytes, end + growBytes);
    if (to <= current.sizeBytes) return;
    current.file.write([new Uint8Array(to - current.sizeBytes)], current.sizeBytes);
    current.sizeBytes = to;
  }

  async #sync(): Promise<void> {
    const sequence = this.nextSequence - 1;
    if (this.#failed) throw this.#stopped();
    try {
      for (const file of this.#files.values()) {
        // Released meanwhile: a durable root has what was in it, and it is closed.
        if (!file.dirty || !this.#files.has(file.number)) continue;
        file.dirty = false;
        await file.file.syncLater();
      }
      // A released file was perhaps never synced. If its name came back after a crash, what it lost
      // would look like a lost tail, and replay would drop all that was acknowledged behind it.
      if (this.#removed) {
        this.#removed = false;
        this.#options.disk.syncDirectory('journal');
      }
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    this.durable = Math.max(this.durable, sequence);
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#options.onFailure(error);
  }

  #stopped(): TransshipError {
    return new TransshipError('DiskFailed', 'the journal stopped after a failed write or sync');
  }
}

/** CRC-32 of each sector of `data`. */
export function sectorChecksums(data: Uint8Array): Uint32Array {
  const checksums = new Uint32Array(data.length / sectorBytes);
  for (let i = 0; i < checksums.length; i++) {
    checksums[i] = crc32(data.subarray(i * sectorBytes, (i + 1) * sectorBytes));
  }
  return checksums;
}
