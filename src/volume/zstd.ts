/**
 * zstd whose contexts are used again. Node's own calls make a context and buffers for each block, a
 * third of the time at 64 KiB (docs/decisions/0005-zstd-contexts.md).
 */
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';

export interface Zstd {
  /** One frame. What it returns may be overwritten by the next call. */
  compress(block: Uint8Array): Uint8Array;
  /** The content of one whole frame if it has that length, at most; valid until the next call. */
  decompress(bytes: Uint8Array, bytesMax: number): Uint8Array | undefined;
}

const params = { [constants.ZSTD_c_compressionLevel]: 1 };

/** The most that zstd makes of a block that does not shrink. */
function boundOf(bytes: number): number {
  return bytes + (bytes >>> 7) + 128;
}

export const plainZstd: Zstd = {
  // One output chunk: zlib would otherwise allocate, copy and join several.
  compress: (block) => zstdCompressSync(block, { params, chunkSize: boundOf(block.length) }),
  decompress: (bytes, bytesMax) => {
    try {
      // The limit keeps a few hostile bytes from becoming gigabytes; one spare byte ends the loop.
      const options = { chunkSize: Math.max(64, bytesMax + 1), maxOutputLength: bytesMax };
      return zstdDecompressSync(bytes, options);
    } catch {
      return undefined;
    }
  },
};

/** What Node's zlib has below its streams; no part of its public interface, hence `works`. */
interface Handle {
  onerror: () => void;
  writeSync(...args: readonly (number | Uint8Array)[]): void;
}

interface Engine {
  readonly handle: Handle;
  /** After a write: bytes left of the output, and of the input. */
  readonly left: Uint32Array;
}

/** For one thread. Where Node has changed below its interface, the plain one. */
export function createZstd(): Zstd {
  const reusing = new ReusingZstd();
  return works(reusing) ? reusing : plainZstd;
}

class ReusingZstd implements Zstd {
  #compressor: Engine | undefined;
  #decompressor: Engine | undefined;
  #output = Buffer.allocUnsafeSlow(0);

  compress(block: Uint8Array): Uint8Array {
    this.#compressor ??= engineOf(createZstdCompress({ params }));
    const into = this.#room(boundOf(block.length));
    const packed = write(this.#compressor, block, into);
    if (packed !== undefined) return packed;
    this.#compressor = undefined;
    return plainZstd.compress(block);
  }

  decompress(bytes: Uint8Array, bytesMax: number): Uint8Array | undefined {
    const isFresh = this.#decompressor === undefined;
    const content = this.#decompressOnce(bytes, bytesMax);
    if (content?.length === bytesMax || isFresh) return content;
    // The frame before may have been cut off after its content, and then left its end to this one.
    return this.#decompressOnce(bytes, bytesMax);
  }

  #decompressOnce(bytes: Uint8Array, bytesMax: number): Uint8Array | undefined {
    this.#decompressor ??= engineOf(createZstdDecompress());
    // One spare byte, so that a frame with more content is found out.
    const content = write(this.#decompressor, bytes, this.#room(bytesMax + 1));
    const isRight = content !== undefined && content.length <= bytesMax;
    // Anything but a whole block may have ended in the middle of a frame.
    if (content?.length !== bytesMax) this.#decompressor = undefined;
    return isRight ? content : undefined;
  }

  #room(bytes: number): Uint8Array {
    if (this.#output.length < bytes) this.#output = Buffer.allocUnsafeSlow(bytes);
    return this.#output.subarray(0, bytes);
  }
}

function engineOf(stream: object): Engine {
  const handle = Reflect.get(stream, '_handle') as Handle;
  return { handle, left: Reflect.get(stream, '_writeState') as Uint32Array };
}

/** Undefined when it failed or did not take all of the input: the engine is then not used again. */
function write({ handle, left }: Engine, from: Uint8Array, into: Uint8Array) {
  let failed = false;
  handle.onerror = () => {
    failed = true;
  };
  handle.writeSync(constants.ZSTD_e_end, from, 0, from.length, into, 0, into.length);
  const [outLeft = 0, inLeft = 0] = left;
  return failed || inLeft > 0 || outLeft === 0 ? undefined : into.subarray(0, -outLeft);
}

/** Whether what is done below Node's interface still does what it did. */
function works(zstd: Zstd): boolean {
  const sample = Buffer.alloc(4096, 'transship ');
  try {
    for (let i = 0; i < 2; i++) {
      const frame = Buffer.from(zstd.compress(sample));
      if (!sample.equals(zstdDecompressSync(frame))) return false;
      if (Buffer.compare(zstd.decompress(frame, sample.length) ?? frame, sample) !== 0)
        return false;
      if (zstd.decompress(frame, sample.length - 1) !== undefined) return false;
      if (zstd.decompress(Buffer.alloc(64, 1), 64) !== undefined) return false;
    }
    return true;
  } catch {
    return false;
  }
}
