import { pieceBytes } from './block-shape.ts';
import { pipelineDepth } from './block-pipeline.ts';

/**
 * Buffers of one piece each, used again: a new one for every piece of a large device gives the
 * collector of garbage a fifth of the work.
 */
export class PieceBuffers {
  readonly #free: Buffer[] = [];

  /** Content as it comes. */
  take(bytes: number): Buffer {
    const whole = this.#free.pop() ?? Buffer.allocUnsafeSlow(pieceBytes);
    return whole.length === bytes ? whole : whole.subarray(0, bytes);
  }

  /** Only what nothing refers to any more, not even the link. */
  giveBack(buffer: Buffer): void {
    // The last piece of a device may be shorter: its buffer goes with it.
    if (buffer.length === pieceBytes && this.#free.length < pipelineDepth) this.#free.push(buffer);
  }
}
