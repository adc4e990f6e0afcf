/**
 * The `Packer` on threads. Jobs travel as small messages, bytes through shared slabs: one copy in,
 * one copy out. Waking a thread by message or by `Atomics.notify` took the same time (70 us there
 * and back), so messages it is; two jobs per thread keep it busy meanwhile.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { assert, AssertionFailure, TransshipError } from '../base/errors.ts';
import { blocksOf, chunkBytesMax, packInline, unpackInline } from '../volume/pack.ts';
import type { Name, PackedBlock, Packer, StoredChunk } from '../volume/types.ts';
import {
  inputOf,
  type Operation,
  outputOf,
  readEntry,
  setState,
  type Slab,
} from './packer-slab.ts';
import { slabBytes, slabEntries, slabName, slabOver, states, writeEntry } from './packer-slab.ts';

export interface HostPacker extends Packer {
  readonly threads: number;
  /** Ends the threads; unfinished calls fail with `Stopping`. */
  close(): Promise<void>;
}

const threadsMax = 4;
const slabsPerThread = 2;
/** Jobs that wait for a slab; callers bound their own work far below this. */
const waitingMax = 4096;
/** Below this the hand-over takes longer than the work. */
const inlineBytes = 8 * 1024;
/** Chunks of one read that somebody waits for: they overtake background work. */
const urgentChunks = 4;

type Known = (name: Name) => boolean;

export function createPacker(options: { readonly threads?: number } = {}): HostPacker {
  const threads = options.threads ?? Math.min(threadsMax, availableParallelism());
  const crew = createCrew(threads);
  const hits = createHitRate();
  return {
    threads,
    close: crew.close,
    pack: async (blocks, blockBytes, known) => {
      if (blocks.length <= inlineBytes) return packInline(blocks, blockBytes, known);
      const pieces = split(blocks, blockBytes, threads);
      const work = pieces.map((piece) =>
        crew.withSlab(false, (slab) => packPiece(slab, { piece, blockBytes, known, hits })),
      );
      return (await Promise.all(work)).flat();
    },
    unpack: async (chunks) => {
      const total = chunks.reduce((sum, { rawBytes }) => sum + rawBytes, 0);
      if (total <= inlineBytes) return chunks.map(unpackInline);
      const urgent = chunks.length <= urgentChunks;
      const work = groups(chunks, (chunk) => chunk.rawBytes).map((group) =>
        crew.withSlab(urgent, (slab) => unpackGroup(slab, group)),
      );
      return (await Promise.all(work)).flat();
    },
    verify: async (chunks) => {
      const work = groups(chunks, () => 0).map((group) =>
        crew.withSlab(false, (slab) => verifyGroup(slab, group)),
      );
      return (await Promise.all(work)).flat();
    },
  };
}

/** Pieces of whole blocks, so that one call keeps every thread busy. */
function split(blocks: Uint8Array, blockBytes: number, threads: number): Uint8Array[] {
  assert(blockBytes <= chunkBytesMax, `blocks of ${blockBytes} bytes`);
  const share = Math.ceil(blocks.length / threads / blockBytes) * blockBytes;
  const most = Math.floor(slabBytes / blockBytes) * blockBytes;
  return [...piecesOf(blocks, Math.min(most, Math.max(share, blockBytes)))];
}

function* piecesOf(blocks: Uint8Array, bytes: number): Generator<Uint8Array> {
  for (let at = 0; at < blocks.length; at += bytes) yield blocks.subarray(at, at + bytes);
}

interface PackPiece {
  readonly piece: Uint8Array;
  readonly blockBytes: number;
  readonly known: Known | undefined;
  readonly hits: HitRate;
}

async function packPiece(lent: LentSlab, work: PackPiece): Promise<PackedBlock[]> {
  const { slab } = lent;
  const count = fillBlocks(slab, work.piece, work.blockBytes);
  const first = work.known !== undefined && work.hits.likely();
  await lent.run(first ? 'name' : 'pack', count);
  const names = copyNames(slab, count);
  const wanted = work.known === undefined ? count : dismissKnown(slab, names, work);
  if (first && wanted > 0) await lent.run('compress', count);
  return takePacked(slab, names);
}

function fillBlocks(slab: Slab, piece: Uint8Array, blockBytes: number): number {
  slab.input.set(piece);
  let count = 0;
  for (const block of blocksOf(piece, blockBytes)) {
    const inPlace = count * blockBytes;
    writeEntry(slab, count, { ...blank, inPlace, inBytes: block.length });
    count += 1;
  }
  return count;
}

const blank = {
  state: states.raw,
  codec: 0,
  checksum: 0,
  inPlace: 0,
  inBytes: 0,
  outPlace: 0,
  outBytes: 0,
} as const;

function copyNames(slab: Slab, count: number): Name[] {
  return Array.from({ length: count }, (_, at) => new Uint8Array(slabName(slab, at)));
}

/** Marks what the pool has as not wanted; returns how many are still wanted. */
function dismissKnown(slab: Slab, names: readonly Name[], { known, hits }: PackPiece): number {
  let wanted = 0;
  let asked = 0;
  for (const [at, name] of names.entries()) {
    if (readEntry(slab, at).state === states.none) continue;
    asked += 1;
    if (known?.(name) === true) setState(slab, at, states.named);
    else wanted += 1;
  }
  hits.note(asked - wanted, asked);
  return wanted;
}

/** One buffer for the bytes of a whole piece: they are written to a segment together. */
function takePacked(slab: Slab, names: readonly Name[]): PackedBlock[] {
  const sources = names.map((_, at) => {
    const entry = readEntry(slab, at);
    if (entry.state === states.out) return { entry, bytes: outputOf(slab, entry) };
    return { entry, bytes: entry.state === states.raw ? inputOf(slab, entry) : undefined };
  });
  const total = sources.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0);
  const all = Buffer.allocUnsafeSlow(total);
  let at = 0;
  return sources.map(({ entry, bytes }, index): PackedBlock => {
    const name = names[index]!;
    if (bytes === undefined) return { name, codec: 0, checksum: 0, bytes };
    all.set(bytes, at);
    at += bytes.length;
    const { codec, checksum } = entry;
    return { name, codec, checksum, bytes: all.subarray(at - bytes.length, at) };
  });
}

/** Chunks that fit one slab, in order; one that could not be valid is alone with nothing to do. */
function groups(
  chunks: readonly StoredChunk[],
  outputOfOne: (chunk: StoredChunk) => number,
): StoredChunk[][] {
  const all: StoredChunk[][] = [];
  let group: StoredChunk[] = [];
  let input = 0;
  let output = 0;
  for (const chunk of chunks) {
    input += fits(chunk) ? chunk.bytes.length : 0;
    output += fits(chunk) ? outputOfOne(chunk) : 0;
    if (group.length === slabEntries || input > slabBytes || output > slabBytes) {
      all.push(group);
      group = [];
      input = fits(chunk) ? chunk.bytes.length : 0;
      output = fits(chunk) ? outputOfOne(chunk) : 0;
    }
    group.push(chunk);
  }
  if (group.length > 0) all.push(group);
  return all;
}

/** Nothing we store is longer than its content (raw serves instead). */
function fits({ rawBytes, bytes }: StoredChunk): boolean {
  return rawBytes <= chunkBytesMax && bytes.length <= rawBytes;
}

async function unpackGroup(
  lent: LentSlab,
  group: readonly StoredChunk[],
): Promise<(Uint8Array | undefined)[]> {
  const { slab } = lent;
  fillChunks(slab, group);
  await lent.run('unpack', group.length);
  return group.map((_, at) => {
    const entry = readEntry(slab, at);
    return entry.state === states.out ? new Uint8Array(outputOf(slab, entry)) : undefined;
  });
}

async function verifyGroup(lent: LentSlab, group: readonly StoredChunk[]): Promise<boolean[]> {
  const { slab } = lent;
  fillChunks(slab, group);
  await lent.run('verify', group.length);
  return group.map((_, at) => readEntry(slab, at).state === states.named);
}

/** Places in the output are those of contents one after another. */
function fillChunks(slab: Slab, group: readonly StoredChunk[]): void {
  let inPlace = 0;
  let outPlace = 0;
  for (const [at, chunk] of group.entries()) {
    const { codec, checksum, rawBytes } = chunk;
    const bytes = fits(chunk) ? chunk.bytes : new Uint8Array(0);
    const outBytes = fits(chunk) ? rawBytes : 0;
    slab.input.set(bytes, inPlace);
    slabName(slab, at).set(chunk.name);
    const inBytes = bytes.length;
    writeEntry(slab, at, { ...blank, codec, checksum, inPlace, inBytes, outPlace, outBytes });
    inPlace += inBytes;
    outPlace += outBytes;
  }
}

type HitRate = ReturnType<typeof createHitRate>;

/**
 * Naming first and compressing what is unknown costs a second hand-over, compressing at once costs
 * the compression of duplicates. What recent blocks were decides.
 */
function createHitRate() {
  const memory = 1 / 8;
  const worthwhile = 1 / 16;
  let rate = 0.5;
  return {
    likely: () => rate > worthwhile,
    note: (known: number, asked: number) => {
      if (asked > 0) rate += (known / asked - rate) * memory;
    },
  };
}

interface LentSlab {
  readonly slab: Slab;
  run(operation: Operation, count: number): Promise<void>;
}

interface Running {
  readonly worker: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The threads and their slabs. A thread that dies is a bug: every call fails from then on. */
function createCrew(threads: number) {
  assert(threads >= 1, 'a packer needs a thread');
  const slabs = Array.from({ length: threads * slabsPerThread + 1 }, () => slabOver());
  const queue = createSlabQueue(slabs.map((_, at) => at));
  const running = new Map<number, Running>();
  const load = Array.from({ length: threads }, () => 0);
  let broken: Error | undefined;
  const breakDown = (error: Error) => {
    broken ??= error;
    for (const { reject } of running.values()) reject(error);
    running.clear();
  };
  const finish = (slab: number) => {
    const job = running.get(slab);
    if (job === undefined) return;
    running.delete(slab);
    load[job.worker]! -= 1;
    // A thread keeps the process alive only while somebody waits for it.
    if (load[job.worker] === 0) workers[job.worker]!.unref();
    job.resolve();
  };
  const workers = load.map(() => startWorker(slabs, finish, breakDown));
  const run = (slab: number, operation: Operation, count: number) =>
    new Promise<void>((resolve, reject) => {
      if (broken !== undefined) return reject(broken);
      const worker = load.indexOf(Math.min(...load));
      running.set(slab, { worker, resolve, reject });
      load[worker]! += 1;
      workers[worker]!.ref();
      workers[worker]!.postMessage({ slab, operation, count });
    });
  return {
    withSlab: async <T>(urgent: boolean, use: (lent: LentSlab) => Promise<T>): Promise<T> => {
      const at = await queue.take(urgent);
      try {
        return await use({ slab: slabs[at]!, run: (what, count) => run(at, what, count) });
      } finally {
        queue.give(at);
      }
    },
    close: async () => {
      breakDown(new TransshipError('Stopping', 'the packer was closed'));
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

function startWorker(
  slabs: readonly Slab[],
  finish: (slab: number) => void,
  breakDown: (error: Error) => void,
): Worker {
  // The published package has .js files, the checkout .ts files.
  const file = import.meta.url.replace(/packer(\.[jt]s)$/, 'packer-worker$1');
  const worker = new Worker(new URL(file), { workerData: slabs.map(({ shared }) => shared) });
  worker.on('message', finish);
  worker.on('error', (error: Error) => breakDown(new AssertionFailure(`packer: ${error.stack}`)));
  worker.on('exit', () => breakDown(new AssertionFailure('a packer thread ended')));
  worker.unref();
  return worker;
}

/** Free slabs and those who wait for one; the urgent first, each kind in order. */
function createSlabQueue(free: number[]) {
  const urgentOnes: ((slab: number) => void)[] = [];
  const others: ((slab: number) => void)[] = [];
  return {
    take: async (urgent: boolean): Promise<number> => {
      const slab = free.pop();
      if (slab !== undefined) return slab;
      const waiting = urgent ? urgentOnes : others;
      if (waiting.length >= waitingMax) {
        throw new TransshipError('LimitExceeded', `${waitingMax} packing jobs wait already`);
      }
      return new Promise((resolve) => void waiting.push(resolve));
    },
    give: (slab: number) => {
      const next = urgentOnes.shift() ?? others.shift();
      if (next === undefined) free.push(slab);
      else next(slab);
    },
  };
}
