/** What packer threads do, as plain functions: zero test, name, compression, verification. */
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assert } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { sameName, zeroName } from './name.ts';
import { codecs, type Name, type PackedBlock, type Packer, type StoredChunk } from './types.ts';
import { plainZstd, type Zstd } from './zstd.ts';

/** No block or page is larger, so a chunk that claims to be is not a chunk. */
export const chunkBytesMax = Math.max(...limits.blockBytesAllowed);

/** Less than a sixteenth saved is not worth the time to decompress at every read. */
const savingMin = 1 / 16;

const zeroes = Buffer.alloc(chunkBytesMax);

/** The name of a chunk: SHA-256 of its uncompressed bytes. */
export function nameOf(content: Uint8Array): Name {
  return hash('sha256', content, 'buffer');
}

export function isZero(bytes: Uint8Array): boolean {
  // Nearly every block that is not zero says so at one of its ends, before any native call.
  if (bytes.length === 0) return true;
  if (bytes[0] !== 0 || bytes[bytes.length - 1] !== 0) return false;
  for (let at = 0; at < bytes.length; at += zeroes.length) {
    const part = bytes.subarray(at, at + zeroes.length);
    if (zeroes.compare(part, 0, part.length, 0, part.length) !== 0) return false;
  }
  return true;
}

/**
 * The zstd form when it saves enough, else undefined: the block is stored as it is. Valid until
 * the codec's next call.
 */
export function compress(block: Uint8Array, zstd: Zstd = plainZstd): Uint8Array | undefined {
  const packed = zstd.compress(block);
  return packed.length <= block.length * (1 - savingMin) ? packed : undefined;
}

/** Bytes of a block stored raw share the block's memory. */
export function packBlock(block: Uint8Array, known?: (name: Name) => boolean): PackedBlock {
  if (isZero(block)) return absent(zeroName);
  const name = nameOf(block);
  if (known?.(name) === true) return absent(name);
  const compressed = compress(block);
  const bytes = compressed ?? block;
  const codec = compressed === undefined ? codecs.raw : codecs.zstd;
  return { name, codec, checksum: crc32(bytes), bytes };
}

function absent(name: Name): PackedBlock {
  return { name, codec: codecs.raw, checksum: 0, bytes: undefined };
}

export type Sealed = Omit<StoredChunk, 'kind'>;

/**
 * The content when checksum, length and name are right, else undefined. Never throws. Valid until
 * the codec's next call.
 */
export function unpackChunk(chunk: Sealed, zstd: Zstd = plainZstd): Uint8Array | undefined {
  // What does not shrink is stored raw, so nothing stored is longer than its content.
  if (chunk.bytes.length > chunk.rawBytes || crc32(chunk.bytes) !== chunk.checksum)
    return undefined;
  const content = decompressChunk(chunk, zstd);
  return content !== undefined && sameName(nameOf(content), chunk.name) ? content : undefined;
}

/**
 * The content when it has the promised length, else undefined; for records whose checksum was
 * checked by who read them. Raw content shares the chunk's memory.
 */
export function decompressChunk(chunk: Sealed, zstd: Zstd = plainZstd): Uint8Array | undefined {
  const { codec, bytes, rawBytes } = chunk;
  if (rawBytes > chunkBytesMax) return undefined;
  const content = codec === codecs.zstd ? zstd.decompress(bytes, rawBytes) : bytes;
  const isKnown = codec === codecs.zstd || codec === codecs.raw;
  return isKnown && content?.length === rawBytes ? content : undefined;
}

/** Whole blocks of a buffer, one after another, sharing its memory. */
export function* blocksOf(blocks: Uint8Array, blockBytes: number): Generator<Uint8Array> {
  assert(blocks.length % blockBytes === 0, `${blocks.length} bytes are not blocks`);
  for (let at = 0; at < blocks.length; at += blockBytes) {
    yield blocks.subarray(at, at + blockBytes);
  }
}

/** A packer on the calling thread, for the simulator, tests and work too small to hand over. */
export function createInlinePacker(): Packer {
  return {
    pack: async (blocks, blockBytes, known) => packInline(blocks, blockBytes, known),
    unpack: async (chunks) => chunks.map(unpackInline),
    verify: async (chunks) => chunks.map((chunk) => unpackChunk(chunk) !== undefined),
  };
}

export function packInline(
  blocks: Uint8Array,
  blockBytes: number,
  known?: (name: Name) => boolean,
): PackedBlock[] {
  const packed: PackedBlock[] = [];
  for (const block of blocksOf(blocks, blockBytes)) {
    const one = packBlock(block, known);
    // The caller takes its buffer back, so nothing may point into it (slices of a Buffer would).
    packed.push(one.bytes === block ? { ...one, bytes: new Uint8Array(block) } : one);
  }
  return packed;
}

/** Like `unpackChunk`, but the content never shares memory with the chunk. */
export function unpackInline(chunk: StoredChunk): Uint8Array | undefined {
  const content = unpackChunk(chunk);
  return content === chunk.bytes ? new Uint8Array(content) : content;
}
