/** The side that has the data: docs/formats/block-mover.md. */
import { createHash } from 'node:crypto';
import { fail } from '../base/errors.ts';
import type { RateLimit } from '../peer/rate.ts';
import { PieceBuffers } from './block-buffers.ts';
import {
  asOnePart,
  blockVersions,
  broken,
  countNames,
  dataHeadroomBytes,
  decodeCount,
  decodeDigest,
  decodeWelcome,
  encodeCount,
  encodeData,
  Shrinking,
  encodeHello,
  frame,
  greetingBytesMax,
  payloadBytesMax,
} from './block-frame.ts';
import { isZeroName, nameAt, nameBytes, namesOf, NameWindow, runsOf } from './block-names.ts';
import { pipelined, Signal } from './block-pipeline.ts';
import type { BlockProgress, BlockSummary, RawDevice } from './block-ports.ts';
import {
  blockBytesDefault,
  bytesOf,
  type Piece,
  piecesOf,
  type Shape,
  shapeOf,
} from './block-shape.ts';
import { Talk, type TalkOptions } from './block-talk.ts';

export interface SendOptions extends TalkOptions {
  /** Should not change meanwhile: what is sent is then of no one moment. */
  readonly device: RawDevice;
  /** 4 KiB to 1 MiB, a power of two; 64 KiB by default. */
  readonly blockBytes?: number;
  readonly rate?: RateLimit;
  /** After every piece of at most 1 MiB. */
  readonly onProgress?: (progress: BlockProgress) => void;
}

/**
 * Makes the receiver's device equal to this one; the link is closed at the end. Resolves after the
 * destination is durable and the digests of both sides were found equal. When it rejects, calling
 * it again on a new link sends only what is still different. `BadSize` (the destination is
 * smaller; nothing was written), `DataCorrupt` (digests differ), `ProtocolError`,
 * `SourceUnreachable` (the link), `DiskFailed`, `PoolFull`, `Canceled`, and what the receiver says.
 */
export async function sendBlocks(options: SendOptions): Promise<BlockSummary> {
  return new Sending(options).run();
}

type Kind = 'same' | 'zeros' | 'data';

interface Settlement {
  readonly piece: Piece;
  readonly names: Buffer;
  readonly frames: readonly (readonly Uint8Array[])[];
  /** What frames may refer to; it comes back when the last of them has gone. */
  readonly blocks: Buffer;
  readonly changedBytes: number;
  readonly zeroedBytes: number;
  readonly sentBytes: number;
}

class Sending {
  readonly #options: SendOptions;
  readonly #talk: Talk;
  readonly #shape: Shape;
  readonly #window: NameWindow;
  readonly #signal = new Signal();
  readonly #buffers = new PieceBuffers({ headroomBytes: dataHeadroomBytes });
  readonly #shrinking = new Shrinking();
  readonly #stop = new AbortController();
  readonly #digest = createHash('sha256');
  #isGreeted = false;
  #announced = 0;
  #settled = 0;
  #ourDigest: Buffer | undefined;
  #progress: BlockProgress;

  constructor(options: SendOptions) {
    this.#options = options;
    this.#shape = shapeOf(options.device.sizeBytes, options.blockBytes ?? blockBytesDefault);
    this.#window = new NameWindow(this.#shape);
    this.#talk = new Talk(options);
    const { sizeBytes } = this.#shape;
    const none = { settledBytes: 0, changedBytes: 0, zeroedBytes: 0, sentBytes: 0 };
    this.#progress = { sizeBytes, ...none };
  }

  async run(): Promise<BlockSummary> {
    this.#talk.onEnd((error) => {
      this.#signal.fail(error);
      this.#stop.abort(error);
    });
    await this.#talk.run(
      () => this.#listen(),
      () => this.#settle(),
    );
    return { ...this.#progress, digest: this.#ourDigest!.toString('hex') };
  }

  async #greet(): Promise<void> {
    const { sizeBytes, blockBytes } = this.#shape;
    const { min, max } = blockVersions;
    const hello = { versionMin: min, versionMax: max, blockBytes, sizeBytes };
    await this.#talk.send(encodeHello(hello));
    const welcome = decodeWelcome(await this.#talk.expect('welcome', greetingBytesMax));
    if (welcome.version < min || welcome.version > max) broken(`version ${welcome.version}`);
    if (welcome.sizeBytes < sizeBytes) {
      fail('BadSize', `the destination has ${welcome.sizeBytes} bytes, the source ${sizeBytes}`);
    }
    this.#isGreeted = true;
    this.#signal.changed();
  }

  async #listen(): Promise<void> {
    await this.#greet();
    for (;;) {
      const found = await this.#talk.next(payloadBytesMax);
      if (found.type === 'names') {
        this.#window.put(this.#announce(countNames(found)), found.payload);
      } else if (found.type === 'zeros') {
        const count = decodeCount(found);
        this.#window.putZeros(this.#announce(count), count);
      } else if (found.type === 'done') {
        this.#compare(decodeDigest(found));
        return;
      } else if (found.type !== 'alive' || found.payload.length > 0) {
        broken(`'${found.type}', which only a sender may send`);
      }
      this.#signal.changed();
    }
  }

  /** Checks it; returns the first of the blocks that are announced now. */
  #announce(count: number): number {
    const first = this.#announced;
    const { blockCount, windowBlocks } = this.#shape;
    const most = Math.min(blockCount, this.#settled + windowBlocks);
    if (first + count > most) broken('names of more blocks than it may');
    this.#announced = first + count;
    return first;
  }

  #compare(theirs: Buffer): void {
    if (this.#ourDigest === undefined) broken("'done' before the end");
    if (this.#ourDigest.equals(theirs)) return;
    fail('DataCorrupt', 'source and destination have different digests after the copy');
  }

  async #settle(): Promise<void> {
    await this.#signal.until(() => this.#isGreeted);
    const { rate, onProgress } = this.#options;
    const pieces = piecesOf(this.#shape);
    for await (const settlement of pipelined(pieces, (piece) => this.#prepare(piece))) {
      this.#digest.update(settlement.names);
      this.#settled += settlement.piece.count;
      const onGone = () => this.#buffers.giveBack(settlement.blocks);
      for (const [index, parts] of settlement.frames.entries()) {
        await rate?.take(lengthOf(parts), this.#stop.signal);
        const isLast = index === settlement.frames.length - 1;
        await this.#talk.send(parts, isLast ? onGone : undefined);
      }
      this.#count(settlement);
      onProgress?.(this.#progress);
    }
    this.#ourDigest = this.#digest.digest();
    await this.#talk.send(frame('end', this.#ourDigest));
  }

  #count({ piece, changedBytes, zeroedBytes, sentBytes }: Settlement): void {
    const before = this.#progress;
    this.#progress = {
      sizeBytes: before.sizeBytes,
      settledBytes: before.settledBytes + bytesOf(this.#shape, piece),
      changedBytes: before.changedBytes + changedBytes,
      zeroedBytes: before.zeroedBytes + zeroedBytes,
      sentBytes: before.sentBytes + sentBytes,
    };
  }

  /** Reads, names, compares and compresses one piece. */
  async #prepare(piece: Piece): Promise<Settlement> {
    const { first, count } = piece;
    const { blockBytes } = this.#shape;
    // What was greeted but has ended since shall not be read to its end.
    if (this.#talk.ended !== undefined) throw this.#talk.ended;
    const blocks = this.#buffers.take(bytesOf(this.#shape, piece));
    await this.#options.device.read(blocks, first * blockBytes);
    const names = namesOf(blocks, blockBytes);
    await this.#signal.until(() => this.#announced >= first + count);
    const theirs = this.#window.get(first, count);
    const kindOf = (index: number): Kind => {
      const [from, to] = [index * nameBytes, (index + 1) * nameBytes];
      if (theirs.compare(names, from, to, from, to) === 0) return 'same';
      return isZeroName(nameAt(names, index)) ? 'zeros' : 'data';
    };
    const frames: (readonly Uint8Array[])[] = [];
    const bytes = { same: 0, zeros: 0, data: 0 };
    let sentBytes = 0;
    for (const { from, to, kind } of runsOf(count, kindOf)) {
      const run = blocks.subarray(from * blockBytes, to * blockBytes);
      bytes[kind] += run.length;
      if (kind === 'data') {
        const named = names.subarray(from * nameBytes, to * nameBytes);
        const parts = await encodeData(named, run, this.#shrinking);
        sentBytes += lengthOf(parts);
        // Before any other run lie blocks that belong to another frame.
        frames.push(from === 0 && parts.at(-1) === run ? [asOnePart(parts)] : parts);
      } else {
        frames.push(encodeCount(kind, to - from));
      }
    }
    const [changedBytes, zeroedBytes] = [bytes.data, bytes.zeros];
    return { piece, names, frames, blocks, changedBytes, zeroedBytes, sentBytes };
  }
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
