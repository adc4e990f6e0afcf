/** Packs: chunks of a repository, written once (docs/formats/repository.md, "Pack"). */
import { createHash, type Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { asTransshipError, assert, fail } from '../../base/errors.ts';
import type { Random } from '../../base/ports.ts';
import { type ChunkKind, type Name, nameBytes, type StoredChunk } from '../../volume/types.ts';
import { chunkHeadBytes, decodeChunks, encodeChunk } from '../chunk-codec.ts';
import { type MasterKey, saltBytes } from './keys.ts';
import { decodeHeader, encodeHeader, headerBytes, magics, Sealer, tagBytes } from './sealed.ts';

export const packBytesMax = 16 * 1024 * 1024;
export const packRecordsMax = 65_536;
export const footerBytes = 32;

const footerMagic = 'TSPACKED';
const recordBytes = nameBytes + 8;

const kinds: readonly ChunkKind[] = ['block', 'page'];

/** Where a chunk is in its pack; `lengthBytes` with the tag. */
export interface PackEntry {
  readonly name: Name;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** What an index says of a pack. */
export interface PackInfo {
  /** SHA-256 of its bytes. */
  readonly id: Uint8Array;
  readonly kind: ChunkKind;
  readonly salt: Uint8Array;
  readonly sizeBytes: number;
}

export interface BuiltPack extends PackInfo {
  readonly parts: readonly Uint8Array[];
  readonly entries: readonly PackEntry[];
}

/** One pack in the making. */
export class PackBuilder {
  readonly kind: ChunkKind;
  readonly #salt: Uint8Array;
  readonly #sealer: Sealer;
  readonly #digest: Hash = createHash('sha256');
  readonly #parts: Uint8Array[] = [];
  readonly #entries: PackEntry[] = [];
  #bytes = 0;

  constructor(key: MasterKey, kind: ChunkKind, random: Random) {
    this.kind = kind;
    this.#salt = random.bytes(saltBytes);
    this.#sealer = new Sealer(key, { magic: magics.pack, salt: this.#salt });
    const head = { magic: magics.pack, kind: kinds.indexOf(kind), salt: this.#salt };
    this.#append(encodeHeader(key, head));
  }

  get records(): number {
    return this.#entries.length;
  }

  /** Whether this chunk belongs into the next pack. */
  isFullFor(chunk: StoredChunk): boolean {
    const more = chunkHeadBytes + chunk.bytes.length + tagBytes;
    const isFull = this.#entries.length >= packRecordsMax || this.#bytes + more > packBytesMax;
    return isFull && this.#entries.length > 0;
  }

  add(chunk: StoredChunk): void {
    assert(chunk.kind === this.kind, `a ${chunk.kind} in a pack of ${this.kind}s`);
    const content: Uint8Array[] = [];
    encodeChunk(chunk, content);
    const offset = this.#bytes;
    const sealed = this.#sealer.seal(offset, content);
    const name = new Uint8Array(chunk.name);
    this.#entries.push({ name, offset, lengthBytes: sealed.length });
    this.#append(sealed);
  }

  finish(): BuiltPack {
    const offset = this.#bytes;
    const trailer = this.#sealer.seal(offset, [encodeEntries(this.#entries)]);
    this.#append(trailer);
    const footer = Buffer.alloc(footerBytes);
    footer.writeUInt32LE(offset, 0);
    footer.writeUInt32LE(trailer.length, 4);
    footer.write(footerMagic, 8, 'latin1');
    footer.writeUInt32LE(crc32(footer.subarray(0, 28)), 28);
    this.#append(footer);
    const id = new Uint8Array(this.#digest.digest());
    const { kind } = this;
    const about = { id, kind, salt: this.#salt, sizeBytes: this.#bytes };
    return { ...about, parts: this.#parts, entries: this.#entries };
  }

  #append(bytes: Uint8Array): void {
    this.#digest.update(bytes);
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
  }
}

export function encodeEntries(entries: readonly PackEntry[]): Uint8Array {
  const bytes = Buffer.alloc(entries.length * recordBytes);
  entries.forEach(({ name, offset, lengthBytes }, i) => {
    bytes.set(name, i * recordBytes);
    bytes.writeUInt32LE(offset, i * recordBytes + nameBytes);
    bytes.writeUInt32LE(lengthBytes, i * recordBytes + nameBytes + 4);
  });
  return bytes;
}

/** `DataCorrupt` for places outside the pack. */
export function decodeEntries(bytes: Uint8Array, sizeBytes: number): PackEntry[] {
  if (bytes.length % recordBytes !== 0) fail('DataCorrupt', 'a list of chunks is cut off');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / recordBytes }, (_, i) => {
    const at = i * recordBytes;
    const offset = view.getUint32(at + nameBytes, true);
    const lengthBytes = view.getUint32(at + nameBytes + 4, true);
    const isInside =
      offset >= headerBytes &&
      lengthBytes >= chunkHeadBytes + tagBytes &&
      offset + lengthBytes <= sizeBytes;
    if (!isInside) fail('DataCorrupt', 'a chunk that is not inside its pack');
    return { name: bytes.subarray(at, at + nameBytes), offset, lengthBytes };
  });
}

export const entryBytes = recordBytes;

export function kindNumber(kind: ChunkKind): number {
  return kinds.indexOf(kind);
}

export function kindOf(number: number): ChunkKind {
  return kinds[number] ?? fail('DataCorrupt', `a pack of kind ${number}`);
}

/** The header of a pack. `DataCorrupt`. */
export function decodePackHeader(
  key: MasterKey,
  bytes: Uint8Array,
): { readonly kind: ChunkKind; readonly salt: Uint8Array } {
  const { kind, salt } = decodeHeader(key, bytes, magics.pack);
  return { kind: kindOf(kind), salt };
}

/** Where the trailer of a pack of this size is, by its last bytes. `DataCorrupt`. */
export function decodeFooter(
  bytes: Uint8Array,
  sizeBytes: number,
): { readonly offset: number; readonly lengthBytes: number } {
  const footer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isWhole =
    footer.length === footerBytes &&
    footer.toString('latin1', 8, 16) === footerMagic &&
    footer.readUInt32LE(28) === crc32(footer.subarray(0, 28));
  if (!isWhole) fail('DataCorrupt', 'a pack without its end');
  const offset = footer.readUInt32LE(0);
  const lengthBytes = footer.readUInt32LE(4);
  if (offset + lengthBytes + footerBytes !== sizeBytes) {
    fail('DataCorrupt', 'a pack that is longer or shorter than it was');
  }
  return { offset, lengthBytes };
}

/** Opens what is sealed in one pack. */
export class PackOpener {
  readonly #sealer: Sealer;

  constructor(key: MasterKey, salt: Uint8Array) {
    this.#sealer = new Sealer(key, { magic: magics.pack, salt });
  }

  /** Undefined: not the chunk that was sealed there. Its content is for the packer to verify. */
  chunk(offset: number, sealed: Uint8Array): StoredChunk | undefined {
    const content = this.#sealer.open(offset, sealed);
    if (content === undefined) return undefined;
    try {
      const chunks = decodeChunks(content);
      return chunks.length === 1 ? chunks[0] : undefined;
    } catch (error) {
      if (asTransshipError(error).reason !== 'ProtocolError') throw error;
      return undefined;
    }
  }

  /** `DataCorrupt`. */
  trailer(offset: number, sealed: Uint8Array, sizeBytes: number): PackEntry[] {
    const content = this.#sealer.open(offset, sealed);
    if (content === undefined) fail('DataCorrupt', 'the list at the end of a pack is damaged');
    return decodeEntries(content, sizeBytes);
  }
}
