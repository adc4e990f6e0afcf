/** Frames of the block mover: docs/formats/block-mover.md, "Frame". Nothing read is trusted. */
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { assert, fail, TransshipError } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import { isReason, type Reason } from '../base/reasons.ts';
import { nameBytes } from './block-names.ts';
import { pieceBytes } from './block-shape.ts';

export const frameTypes = {
  hello: 1,
  welcome: 2,
  names: 3,
  zeros: 4,
  same: 5,
  data: 6,
  end: 7,
  done: 8,
  alive: 9,
  error: 255,
} as const;

export type FrameType = keyof typeof frameTypes;

export const headerBytes = 8;
export const payloadBytesMax = pieceBytes + 32 * 1024;
/** Before both sides know that they speak the same language. */
export const greetingBytesMax = 4096;
const dataHeadBytes = 8;
const magic = Buffer.from('TSBLOCK1');

export const blockVersions = { min: 1, max: 1 } as const;

export interface Frame {
  readonly type: FrameType;
  readonly payload: Buffer;
}

export interface Hello {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly blockBytes: number;
  readonly sizeBytes: number;
}

export interface Welcome {
  readonly version: number;
  readonly sizeBytes: number;
}

export interface DataHead {
  readonly count: number;
  readonly isCompressed: boolean;
  readonly names: Buffer;
  readonly stored: Buffer;
}

const typesByCode: ReadonlyMap<number, FrameType> = new Map(
  Object.entries(frameTypes).map(([name, code]) => [code, name as FrameType]),
);

/** The parts of a frame, to be sent one after another. */
export function frame(type: FrameType, ...payload: readonly Uint8Array[]): Uint8Array[] {
  const header = Buffer.alloc(headerBytes);
  const bytes = payload.reduce((sum, part) => sum + part.length, 0);
  assert(bytes <= payloadBytesMax, 'a frame holds what the other side accepts');
  header.writeUInt32LE(bytes, 0);
  header.writeUInt8(frameTypes[type], 4);
  return [header, ...payload];
}

/** Throws `ProtocolError` for a type or length that cannot be. */
export function readHeader(header: Buffer, bytesMax: number): { type: FrameType; bytes: number } {
  const type = typesByCode.get(header.readUInt8(4));
  const bytes = header.readUInt32LE(0);
  const isClean = header[5] === 0 && header[6] === 0 && header[7] === 0;
  if (type === undefined || !isClean) broken('a frame of no known type');
  if (bytes > bytesMax) broken(`a frame of ${bytes} bytes, more than ${bytesMax}`);
  return { type, bytes };
}

export function broken(what: string): never {
  fail('ProtocolError', `the other side of the block copy sent ${what}`);
}

export function encodeHello(hello: Hello): Uint8Array[] {
  const payload = Buffer.alloc(24);
  magic.copy(payload);
  payload.writeUInt16LE(hello.versionMin, 8);
  payload.writeUInt16LE(hello.versionMax, 10);
  payload.writeUInt32LE(hello.blockBytes, 12);
  payload.writeBigUInt64LE(BigInt(hello.sizeBytes), 16);
  return frame('hello', payload);
}

export function decodeHello({ payload }: Frame): Hello {
  // A later version may say more in its hello; its range decides, not its length.
  if (payload.length < 24 || !payload.subarray(0, 8).equals(magic)) broken('no hello');
  return {
    versionMin: payload.readUInt16LE(8),
    versionMax: payload.readUInt16LE(10),
    blockBytes: payload.readUInt32LE(12),
    sizeBytes: Number(payload.readBigUInt64LE(16)),
  };
}

export function encodeWelcome(welcome: Welcome): Uint8Array[] {
  const payload = Buffer.alloc(20);
  magic.copy(payload);
  payload.writeUInt16LE(welcome.version, 8);
  payload.writeBigUInt64LE(BigInt(welcome.sizeBytes), 12);
  return frame('welcome', payload);
}

export function decodeWelcome({ payload }: Frame): Welcome {
  const isOurs = payload.length === 20 && payload.subarray(0, 8).equals(magic);
  if (!isOurs || payload.readUInt16LE(10) !== 0) broken('no welcome');
  return {
    version: payload.readUInt16LE(8),
    sizeBytes: Number(payload.readBigUInt64LE(12)),
  };
}

export function encodeCount(type: 'zeros' | 'same', count: number): Uint8Array[] {
  const payload = Buffer.alloc(4);
  payload.writeUInt32LE(count);
  return frame(type, payload);
}

export function decodeCount({ type, payload }: Frame): number {
  if (payload.length !== 4) broken(`a frame '${type}' of ${payload.length} bytes`);
  return aboveZero(payload.readUInt32LE());
}

function aboveZero(count: number): number {
  if (count === 0) broken('a frame about no block');
  return count;
}

/** How many blocks a frame of names announces. */
export function countNames({ payload }: Frame): number {
  if (payload.length % nameBytes !== 0) broken('part of a name');
  return aboveZero(payload.length / nameBytes);
}

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

const params = { [constants.ZSTD_c_compressionLevel]: 1 };
const sampleBytes = 4096;
const samples = 4;

/** By a few pieces of it: media and encrypted files would cost a core and gain nothing. */
async function looksCompressible(blocks: Uint8Array): Promise<boolean> {
  const apart = Math.floor(blocks.length / samples);
  if (apart < 4 * sampleBytes) return true;
  const pieces = Array.from({ length: samples }, (_, i) => {
    return blocks.subarray(i * apart, i * apart + sampleBytes);
  });
  const packed = await compress(Buffer.concat(pieces), { params });
  return packed.length < 0.95 * samples * sampleBytes;
}

const skipsMin = 4;
const skipsMax = 16;

/**
 * Even samples cost: behind pieces that do not shrink some go as they are, and more of them the
 * longer nothing does.
 */
export class Shrinking {
  #skips = 0;
  #nextSkips = skipsMin;
  /** Of several pieces that are looked at together only the first says how it goes on. */
  #looks = 0;

  async isLikely(blocks: Uint8Array): Promise<boolean> {
    if (this.#skips > 0) {
      this.#skips -= 1;
      return false;
    }
    const look = this.#looks;
    const is = await looksCompressible(blocks);
    if (look !== this.#looks) return is;
    this.#looks += 1;
    this.#skips = is ? 0 : this.#nextSkips;
    this.#nextSkips = is ? skipsMin : Math.min(skipsMax, 2 * this.#nextSkips);
    return is;
  }
}

/** Room for what comes before the blocks in a data frame of a piece of the smallest blocks. */
export const dataHeadroomBytes = headerBytes + dataHeadBytes + (pieceBytes / 4096) * nameBytes;

/**
 * The parts of a frame as one, made in the room before its last part: TLS in Node copies what is
 * sent in several.
 */
export function asOnePart(parts: readonly Uint8Array[]): Uint8Array {
  const last = parts.at(-1)!;
  const before = parts.slice(0, -1);
  const bytes = before.reduce((sum, part) => sum + part.length, 0);
  assert(last.byteOffset >= bytes, 'there is room before the blocks');
  const whole = Buffer.from(
    last.buffer as ArrayBuffer,
    last.byteOffset - bytes,
    bytes + last.length,
  );
  let at = 0;
  for (const part of before) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Compressed where that makes it shorter; `shrinking` remembers what was before. */
export async function encodeData(
  names: Uint8Array,
  blocks: Uint8Array,
  shrinking = new Shrinking(),
): Promise<Uint8Array[]> {
  const isLikely = await shrinking.isLikely(blocks);
  const packed = isLikely ? await compress(blocks, { params }) : blocks;
  const isCompressed = packed.length < blocks.length;
  const head = Buffer.alloc(dataHeadBytes);
  head.writeUInt32LE(names.length / nameBytes, 0);
  head.writeUInt8(isCompressed ? 1 : 0, 4);
  return frame('data', head, names, isCompressed ? packed : blocks);
}

export function decodeData({ payload }: Frame): DataHead {
  if (payload.length <= dataHeadBytes) broken('data without a head');
  const count = aboveZero(payload.readUInt32LE(0));
  const codec = payload[4]!;
  const isClean = payload[5] === 0 && payload[6] === 0 && payload[7] === 0;
  if (codec > 1 || !isClean) broken('data of no known codec');
  const start = dataHeadBytes + count * nameBytes;
  if (start >= payload.length) broken('data without blocks');
  const names = payload.subarray(dataHeadBytes, start);
  return { count, isCompressed: codec === 1, names, stored: payload.subarray(start) };
}

/** The blocks of a data frame, exactly `bytes` of them, or `ProtocolError`. */
export async function unpackData(head: DataHead, bytes: number): Promise<Buffer> {
  const blocks = head.isCompressed ? await unzip(head.stored, bytes) : head.stored;
  if (blocks.length !== bytes) broken(`${blocks.length} bytes of blocks instead of ${bytes}`);
  return blocks;
}

async function unzip(stored: Uint8Array, bytes: number): Promise<Buffer> {
  try {
    // More than that would be an attack on our memory.
    return await decompress(stored, { maxOutputLength: bytes });
  } catch {
    broken('blocks that cannot be decompressed');
  }
}

export function decodeDigest({ type, payload }: Frame): Buffer {
  if (payload.length !== nameBytes) broken(`a frame '${type}' of ${payload.length} bytes`);
  return payload;
}

const messageLengthMax = 512;

export function encodeError(error: TransshipError): Uint8Array[] {
  const message = error.message.slice(0, messageLengthMax);
  return frame('error', Buffer.from(JSON.stringify({ reason: error.reason, message })));
}

/** What the other side says went wrong, as our error. */
export function decodeError({ payload }: Frame): TransshipError {
  const { reason, message } = wordsOf(payload);
  return new TransshipError(reason, `the other side: ${message}`);
}

function wordsOf(payload: Buffer): { readonly reason: Reason; readonly message: string } {
  const unclear = { reason: 'ProtocolError', message: 'failed without a readable reason' } as const;
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    if (typeof value !== 'object' || value === null) return unclear;
    const { reason, message } = value as { readonly reason?: unknown; readonly message?: unknown };
    if (typeof reason !== 'string' || !isReason(reason)) return unclear;
    if (typeof message !== 'string') return unclear;
    // In pieces: a whole message may be longer than one shown word may be.
    return {
      reason,
      message:
        message
          .match(/.{1,80}/gsu)
          ?.map(printable)
          .join('') ?? '',
    };
  } catch {
    return unclear;
  }
}
