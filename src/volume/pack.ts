/** What packer threads do, as plain functions: zero test, name, compression, verification. */
import { hash } from 'node:crypto';
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { assert } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { sameName, zeroName } from './name.ts';
import { codecs, type Name, type PackedBlock, type Packer, type StoredChunk } from './types.ts';

/** No block or page is larger, so a chunk that claims to be is not a chunk. */
export const chunkBytesMax = Math.max(...limits.blockBytesAllowed);

/** Less than a sixteenth saved is not worth the time to decompress at every read. */
const savingMin = 1 / 16;

const compression = { [constants.ZSTD_c_compressionLevel]: 1 };

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

/** The zstd form when it saves enough, else undefined: the block is stored as it is. */
export function compress(block: Uint8Array): Uint8Array | undefined {
  // One output chunk: zlib would otherwise allocate, copy and join several.
  const chunkSize = block.length + (block.length >>> 7) + 128;
  const packed = zstdCompressSync(block, { params: compression, chunkSize });
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

/** The content when checksum, length and name are right, else undefined. Never throws. */
export function unpackChunk(chunk: Sealed): Uint8Array | undefined {
  // What does not shrink is stored raw, so nothing stored is longer than its content.
  if (chunk.bytes.length > chunk.rawBytes || crc32(chunk.bytes) !== chunk.checksum)
    return undefined;
  const content = decompressChunk(chunk);
  return content !== undefined && sameName(nameOf(content), chunk.name) ? content : undefined;
}

/**
 * The content when it has the promised length, else undefined; for records whose checksum was
 * checked by who read them. Raw content shares the chunk's memory.
 */
export function decompressChunk(chunk: Sealed): Uint8Array | undefined {
  if (chunk.rawBytes > chunkBytesMax) return undefined;
  const content = decompress(chunk);
  return content?.length === chunk.rawBytes ? content : undefined;
}

function decompress({ codec, bytes, rawBytes }: Sealed): Uint8Array | undefined {
  if (codec === codecs.raw) return bytes;
  if (codec !== codecs.zstd) return undefined;
  try {
    // The limit keeps a few hostile bytes from becoming gigabytes; one spare byte ends the loop.
    const options = { chunkSize: Math.max(64, rawBytes + 1), maxOutputLength: chunkBytesMax };
    return zstdDecompressSync(bytes, options);
  } catch {
    return undefined;
  }
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
