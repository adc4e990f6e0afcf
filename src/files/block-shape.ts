/** How a device is divided: docs/formats/block-mover.md, "Terms". */
import { fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

export const pieceBytes = 1024 * 1024;
export const windowBytes = 256 * pieceBytes;
export const blockBytesDefault = limits.blockBytesDefault;
const blockBytesMin = 4096;

export interface Piece {
  /** Its first block. */
  readonly first: number;
  readonly count: number;
}

export interface Shape {
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly blockCount: number;
  readonly windowBlocks: number;
  /** Most blocks of one frame that settles. */
  readonly pieceBlocks: number;
}

/** `BadSize`: no blocks of this size, or more bytes than a volume can have. */
export function shapeOf(sizeBytes: number, blockBytes: number): Shape {
  const isPower = Number.isInteger(Math.log2(blockBytes));
  if (!isPower || blockBytes < blockBytesMin || blockBytes > pieceBytes) {
    fail('BadSize', `blocks of ${blockBytes} bytes are not possible; 4 KiB to 1 MiB, powers of 2`);
  }
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1 || sizeBytes > limits.volumeBytesMax) {
    fail('BadSize', `a source of ${sizeBytes} bytes is outside 1 byte to 64 TiB`);
  }
  return {
    sizeBytes,
    blockBytes,
    blockCount: Math.ceil(sizeBytes / blockBytes),
    windowBlocks: windowBytes / blockBytes,
    pieceBlocks: pieceBytes / blockBytes,
  };
}

/** Bytes of `count` blocks from `first` on; less than full ones at the end of the source. */
export function bytesOf({ sizeBytes, blockBytes }: Shape, { first, count }: Piece): number {
  return Math.min(count * blockBytes, sizeBytes - first * blockBytes);
}

/** The whole device in order, in pieces of at most 1 MiB. */
export function* piecesOf({ blockCount, pieceBlocks }: Shape): Generator<Piece> {
  for (let first = 0; first < blockCount; first += pieceBlocks) {
    yield { first, count: Math.min(pieceBlocks, blockCount - first) };
  }
}
