/** Chunks and names in binary payloads: docs/formats/peer.md, sections "Frame" and "Operations". */
import { assert, fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { codecs, nameBytes, type Name, type StoredChunk } from '../volume/types.ts';

export const chunkHeadBytes = 48;

const blockBytesMax = Math.max(...limits.blockBytesAllowed);
const pageBytes = limits.pageNames * nameBytes;

/** What a chunk takes in a payload. */
export function chunkWireBytes(chunk: StoredChunk): number {
  return chunkHeadBytes + chunk.bytes.length;
}

/** The most that one chunk can take in a payload. */
export const chunkWireBytesMax = chunkHeadBytes + blockBytesMax;

/** The chunk as parts to send; its bytes are not copied. */
export function encodeChunk(chunk: StoredChunk, into: Uint8Array[]): void {
  assert(chunk.name.length === nameBytes, 'a name has 32 bytes');
  const head = new Uint8Array(chunkHeadBytes);
  head.set(chunk.name);
  const view = new DataView(head.buffer);
  view.setUint8(32, chunk.kind === 'block' ? 0 : 1);
  view.setUint8(33, chunk.codec);
  view.setUint32(36, chunk.rawBytes, true);
  view.setUint32(40, chunk.bytes.length, true);
  view.setUint32(44, chunk.checksum, true);
  into.push(head, chunk.bytes);
}

/**
 * The chunks of a payload, as views into it. `ProtocolError` unless the payload is a row of whole
 * chunks of possible sizes. Whether the content fits the name is for the packer to find out.
 */
export function decodeChunks(payload: Uint8Array): StoredChunk[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const chunks: StoredChunk[] = [];
  let at = 0;
  while (at < payload.length) {
    if (payload.length - at < chunkHeadBytes) fail('ProtocolError', 'a chunk is cut off');
    const kind = view.getUint8(at + 32);
    const codec = view.getUint8(at + 33);
    const rawBytes = view.getUint32(at + 36, true);
    const storedBytes = view.getUint32(at + 40, true);
    checkSizes(kind, codec, { rawBytes, storedBytes });
    const start = at + chunkHeadBytes;
    if (payload.length - start < storedBytes) fail('ProtocolError', 'a chunk is cut off');
    chunks.push({
      name: payload.subarray(at, at + nameBytes),
      kind: kind === 0 ? 'block' : 'page',
      codec,
      rawBytes,
      checksum: view.getUint32(at + 44, true),
      bytes: payload.subarray(start, start + storedBytes),
    });
    at = start + storedBytes;
  }
  return chunks;
}

interface Sizes {
  readonly rawBytes: number;
  readonly storedBytes: number;
}

function checkSizes(kind: number, codec: number, { rawBytes, storedBytes }: Sizes): void {
  if (kind > 1) fail('ProtocolError', `a chunk of kind ${kind}`);
  if (codec !== codecs.raw && codec !== codecs.zstd) {
    fail('ProtocolError', `a chunk with codec ${codec}`);
  }
  const possible = kind === 1 ? rawBytes === pageBytes : rawBytes > 0 && rawBytes <= blockBytesMax;
  if (!possible) fail('ProtocolError', `a chunk of ${rawBytes} bytes`);
  // What does not shrink is stored raw, so nothing is ever longer than its content.
  const fits = codec === codecs.raw ? storedBytes === rawBytes : storedBytes <= rawBytes;
  if (!fits) fail('ProtocolError', `a chunk of ${rawBytes} bytes stored in ${storedBytes}`);
}

export function encodeNames(names: readonly Name[]): Uint8Array {
  const payload = new Uint8Array(names.length * nameBytes);
  names.forEach((name, i) => {
    payload.set(name, i * nameBytes);
  });
  return payload;
}

/** Names as views into the payload. `ProtocolError` for none, a broken one or too many. */
export function decodeNames(payload: Uint8Array, countMax: number): Name[] {
  const count = payload.length / nameBytes;
  if (!Number.isInteger(count) || count === 0 || count > countMax) {
    fail('ProtocolError', `${payload.length} bytes are not 1 to ${countMax} names`);
  }
  return Array.from({ length: count }, (_, i) =>
    payload.subarray(i * nameBytes, (i + 1) * nameBytes),
  );
}

export function encodeFlags(flags: readonly boolean[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(flags.length / 8));
  flags.forEach((flag, i) => {
    if (flag) bytes[i >> 3] = bytes[i >> 3]! | (1 << (i & 7));
  });
  return bytes;
}

export function decodeFlags(payload: Uint8Array, count: number): boolean[] {
  if (payload.length !== Math.ceil(count / 8)) {
    fail('ProtocolError', `${payload.length} bytes are not ${count} flags`);
  }
  return Array.from({ length: count }, (_, i) => ((payload[i >> 3]! >> (i & 7)) & 1) === 1);
}
