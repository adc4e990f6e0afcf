/** The thread of `packer.ts`: takes jobs on slabs, answers with the slab's number. */
import { parentPort, workerData } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { assert, unreachable } from '../base/errors.ts';
import { compress, isZero, nameOf, unpackChunk } from '../volume/pack.ts';
import { codecs } from '../volume/types.ts';
import { createZstd, type Zstd } from '../volume/zstd.ts';
import { inputOf, type Job, readEntry, setState, type Slab, slabName } from './packer-slab.ts';
import { slabOver, states, writeEntry } from './packer-slab.ts';

function start(): void {
  const port = parentPort;
  assert(port !== null, 'packer-worker.ts is the main program of a thread');
  const slabs = (workerData as readonly SharedArrayBuffer[]).map((shared) => slabOver(shared));
  const zstd = createZstd();
  port.on('message', (job: Job) => {
    const slab = slabs[job.slab];
    assert(slab !== undefined, `no slab ${job.slab}`);
    run(slab, job, zstd);
    port.postMessage(job.slab);
  });
}

function run(slab: Slab, { operation, count }: Job, zstd: Zstd): void {
  switch (operation) {
    case 'name':
      for (let at = 0; at < count; at += 1) nameEntry(slab, at);
      return;
    case 'pack':
      for (let at = 0; at < count; at += 1) nameEntry(slab, at);
      compressEntries(slab, count, zstd);
      return;
    case 'compress':
      compressEntries(slab, count, zstd);
      return;
    case 'unpack':
      unpackEntries(slab, count, zstd);
      return;
    case 'verify':
      verifyEntries(slab, count, zstd);
      return;
    default:
      unreachable(operation);
  }
}

/** A block that is not zero is wanted (`raw`) until its owner says otherwise (`named`). */
function nameEntry(slab: Slab, at: number): void {
  const block = inputOf(slab, readEntry(slab, at));
  const zero = isZero(block);
  setState(slab, at, zero ? states.none : states.raw);
  if (zero) slabName(slab, at).fill(0);
  else slabName(slab, at).set(nameOf(block));
}

function compressEntries(slab: Slab, count: number, zstd: Zstd): void {
  let outPlace = 0;
  for (let at = 0; at < count; at += 1) {
    const entry = readEntry(slab, at);
    if (entry.state !== states.raw) continue;
    const block = inputOf(slab, entry);
    const packed = compress(block, zstd);
    if (packed === undefined) {
      writeEntry(slab, at, { ...entry, codec: codecs.raw, checksum: crc32(block) });
      continue;
    }
    // Compressed is smaller than its block, so all outputs fit where all inputs did.
    slab.output.set(packed, outPlace);
    const checksum = crc32(packed);
    const outBytes = packed.length;
    const state = states.out;
    writeEntry(slab, at, { ...entry, state, codec: codecs.zstd, checksum, outPlace, outBytes });
    outPlace += outBytes;
  }
}

/** In: `outPlace` and `outBytes` say where the content goes and how long it must be. */
function unpackEntries(slab: Slab, count: number, zstd: Zstd): void {
  for (let at = 0; at < count; at += 1) {
    const entry = readEntry(slab, at);
    const { codec, checksum, outBytes: rawBytes } = entry;
    const name = slabName(slab, at);
    const bytes = inputOf(slab, entry);
    const content = unpackChunk({ name, codec, checksum, rawBytes, bytes }, zstd);
    if (content !== undefined) slab.output.set(content, entry.outPlace);
    setState(slab, at, content === undefined ? states.none : states.out);
  }
}

/** In: `outBytes` says how long the content must be; it goes nowhere. */
function verifyEntries(slab: Slab, count: number, zstd: Zstd): void {
  for (let at = 0; at < count; at += 1) {
    const entry = readEntry(slab, at);
    const { codec, checksum, outBytes: rawBytes } = entry;
    const name = slabName(slab, at);
    const bytes = inputOf(slab, entry);
    const content = unpackChunk({ name, codec, checksum, rawBytes, bytes }, zstd);
    setState(slab, at, content === undefined ? states.none : states.named);
  }
}

start();
