import { pieceBytes } from './block-shape.ts';
import { pipelineDepth } from './block-pipeline.ts';

/** Those in the stages of a pipeline, and those that a link still has. */
const keptMax = 2 * pipelineDepth;

export interface BufferShape {
  /** What one holds; a piece by default. */
  readonly bytes?: number;
  /** Room before what is taken, for whoever knows of it. */
  readonly headroomBytes?: number;
}

/**
 * Buffers used again: a new one for every piece of a large device gives the collector of garbage
 * a fifth of the work.
 */
export class PieceBuffers {
  readonly #headroomBytes: number;
  readonly #wholeBytes: number;
  readonly #free: ArrayBufferLike[] = [];

  constructor({ bytes = pieceBytes, headroomBytes = 0 }: BufferShape = {}) {
    this.#headroomBytes = headroomBytes;
    this.#wholeBytes = headroomBytes + bytes;
  }

  /** Content as it comes. */
  take(bytes: number): Buffer {
    const whole = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#wholeBytes).buffer;
    return Buffer.from(whole as ArrayBuffer, this.#headroomBytes, bytes);
  }

  /** Only what nothing refers to any more, not even the link. Others' buffers are left alone. */
  giveBack({ buffer }: Uint8Array): void {
    const isOurs = buffer.byteLength === this.#wholeBytes;
    if (isOurs && this.#free.length < keptMax) this.#free.push(buffer);
  }
}
