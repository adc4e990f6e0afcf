/** The side that gets the data: docs/formats/block-mover.md. */
import { PieceBuffers } from './block-buffers.ts';
import { EarlyFlush } from './block-early-flush.ts';
import { createHash } from 'node:crypto';
import { fail, TransshipError } from '../base/errors.ts';
import {
  blockVersions,
  broken,
  type DataHead,
  decodeCount,
  decodeData,
  decodeDigest,
  decodeHello,
  encodeCount,
  encodeWelcome,
  frame,
  greetingBytesMax,
  type Hello,
  payloadBytesMax,
  unpackData,
} from './block-frame.ts';
import {
  isZero,
  isZeroName,
  nameAt,
  nameBytes,
  namesOf,
  NameWindow,
  runsOf,
} from './block-names.ts';
import { pipelined, Signal } from './block-pipeline.ts';
import type { BlockProgress, BlockSummary, RawDevice } from './block-ports.ts';
import { bytesOf, pieceBytes, type Piece, piecesOf, type Shape, shapeOf } from './block-shape.ts';
import { stallMsDefault, Talk, type TalkOptions } from './block-talk.ts';

export interface ReceiveOptions extends TalkOptions {
  readonly device: RawDevice;
  /** What lies behind the end of the source becomes zero (the default), or stays. */
  readonly tail?: 'zero' | 'keep';
  /** Reads everything again for the closing audit, from the device or its cache. */
  readonly reread?: boolean;
  /** After every piece of at most 1 MiB. */
  readonly onProgress?: (progress: BlockProgress) => void;
}

/**
 * Lets a sender make this device equal to its own; the link is closed at the end. Resolves after
 * everything is durable and the digests of both sides were found equal. When it rejects, what was
 * valid is written, nothing else, and nothing is written any more. Rejects as `sendBlocks` does.
 */
export async function receiveBlocks(options: ReceiveOptions): Promise<BlockSummary> {
  return new Receiving(options).run();
}

interface Settlement {
  readonly kind: 'same' | 'zeros' | 'data';
  readonly piece: Piece;
  readonly head?: DataHead;
}

interface Ready extends Settlement {
  /** Of a data frame, found to have the names they came with. */
  readonly blocks?: Buffer;
}

class Receiving {
  readonly #options: ReceiveOptions;
  readonly #talk: Talk;
  readonly #signal = new Signal();
  readonly #buffers = new PieceBuffers();
  readonly #early: EarlyFlush;
  readonly #digest = createHash('sha256');
  #shape: Shape | undefined;
  #window: NameWindow | undefined;
  #announced = 0;
  /** What the sender has settled, and what of it is done here. */
  #accepted = 0;
  #settled = 0;
  #theirDigest: Buffer | undefined;
  #progress: BlockProgress | undefined;

  constructor(options: ReceiveOptions) {
    this.#options = options;
    this.#early = new EarlyFlush(options.device);
    this.#talk = new Talk(options);
  }

  async run(): Promise<BlockSummary> {
    this.#talk.onEnd((error) => this.#signal.fail(error));
    try {
      await this.#talk.run(
        () => this.#announceAll(),
        () => this.#apply(),
      );
    } finally {
      await this.#early.idle();
    }
    return { ...this.#progress!, digest: this.#theirDigest!.toString('hex') };
  }

  async #greet(): Promise<Shape> {
    const { device } = this.#options;
    const hello = decodeHello(await this.#talk.expect('hello', greetingBytesMax));
    const version = commonVersion(hello);
    const shape = shapeOf(hello.sizeBytes, hello.blockBytes);
    if (device.sizeBytes < shape.sizeBytes) {
      if (device.grow === undefined) {
        const [here, there] = [device.sizeBytes, shape.sizeBytes];
        fail('BadSize', `the destination has ${here} bytes, the source ${there}`);
      }
      await device.grow(shape.sizeBytes);
    }
    await this.#talk.send(encodeWelcome({ version, sizeBytes: device.sizeBytes }));
    const none = { settledBytes: 0, changedBytes: 0, zeroedBytes: 0, sentBytes: 0 };
    this.#progress = { sizeBytes: shape.sizeBytes, ...none };
    this.#window = new NameWindow(shape);
    this.#shape = shape;
    this.#signal.changed();
    return shape;
  }

  async #announceAll(): Promise<void> {
    await this.#signal.until(() => this.#shape !== undefined);
    const shape = this.#shape!;
    const named = pipelined(piecesOf(shape), async (piece) => {
      return { piece, names: await this.#namesOf(shape, piece) };
    });
    for await (const { piece, names } of named) {
      const end = piece.first + piece.count;
      await this.#signal.until(() => this.#settled + shape.windowBlocks >= end);
      this.#window!.put(piece.first, names);
      this.#announced = end;
      await this.#talk.send(announcement(names));
    }
  }

  async #namesOf(shape: Shape, piece: Piece): Promise<Buffer> {
    if (this.#talk.ended !== undefined) throw this.#talk.ended;
    const blocks = this.#buffers.take(bytesOf(shape, piece));
    await this.#options.device.read(blocks, piece.first * shape.blockBytes);
    const names = namesOf(blocks, shape.blockBytes);
    this.#buffers.giveBack(blocks);
    return names;
  }

  async #apply(): Promise<void> {
    const shape = await this.#greet();
    const ready = pipelined(this.#settlements(shape), (one) => check(shape, one));
    for await (const settlement of ready) {
      if (this.#talk.ended !== undefined) throw this.#talk.ended;
      await this.#write(shape, settlement);
      if (settlement.head !== undefined) this.#talk.giveBack(settlement.head.stored);
      this.#early.wrote(settlement.kind === 'same' ? 0 : bytesOf(shape, settlement.piece));
      this.#settled += settlement.piece.count;
      this.#signal.changed();
      this.#options.onProgress?.(this.#progress!);
    }
    await this.#finish(shape);
  }

  /** What the sender says, found to be in order; ends with its end. */
  async *#settlements(shape: Shape): AsyncGenerator<Settlement> {
    for (;;) {
      const found = await this.#talk.next(payloadBytesMax);
      if (found.type === 'same' || found.type === 'zeros') {
        yield { kind: found.type, piece: this.#accept(shape, decodeCount(found)) };
      } else if (found.type === 'data') {
        const head = decodeData(found);
        yield { kind: 'data', piece: this.#accept(shape, head.count), head };
      } else if (found.type === 'end') {
        const digest = decodeDigest(found);
        if (this.#accepted !== shape.blockCount) broken('the end before the last block');
        this.#theirDigest = digest;
        return;
      } else {
        broken(`'${found.type}', which has no place here`);
      }
    }
  }

  #accept(shape: Shape, count: number): Piece {
    const first = this.#accepted;
    if (count > shape.pieceBlocks) broken('more blocks than one frame may settle');
    if (first + count > this.#announced) broken('blocks that were not announced');
    this.#accepted = first + count;
    return { first, count };
  }

  async #write(shape: Shape, { kind, piece, head, blocks }: Ready): Promise<void> {
    const { device } = this.#options;
    const bytes = bytesOf(shape, piece);
    const position = piece.first * shape.blockBytes;
    if (kind === 'same') this.#digest.update(this.#window!.get(piece.first, piece.count));
    if (kind === 'zeros') {
      await device.zero(position, bytes);
      this.#digest.update(Buffer.alloc(piece.count * nameBytes));
    }
    if (blocks !== undefined) {
      await device.write(blocks, position);
      this.#digest.update(head!.names);
    }
    const before = this.#progress!;
    this.#progress = {
      sizeBytes: before.sizeBytes,
      settledBytes: before.settledBytes + bytes,
      changedBytes: before.changedBytes + (kind === 'data' ? bytes : 0),
      zeroedBytes: before.zeroedBytes + (kind === 'zeros' ? bytes : 0),
      sentBytes: before.sentBytes + (head?.stored.length ?? 0),
    };
  }

  async #finish(shape: Shape): Promise<void> {
    const stopTelling = this.#tellAlive();
    try {
      if (this.#options.tail !== 'keep') await this.#zeroTail(shape);
      await this.#early.finish();
      const ours =
        this.#options.reread === true ? await this.#readAgain(shape) : this.#digest.digest();
      if (!ours.equals(this.#theirDigest!)) {
        fail('DataCorrupt', 'source and destination have different digests after the copy');
      }
    } finally {
      stopTelling();
    }
    await this.#talk.send(frame('done', this.#theirDigest!));
  }

  /** What follows may take longer than the sender is willing to wait in silence. */
  #tellAlive(): () => void {
    const { clock, stallMs = stallMsDefault } = this.#options;
    const tell = () => {
      this.#talk.send(frame('alive')).catch(() => undefined);
      timer = clock.after(stallMs / 10, tell);
    };
    let timer = clock.after(stallMs / 10, tell);
    return () => timer.cancel();
  }

  async #zeroTail({ sizeBytes }: Shape): Promise<void> {
    const { device } = this.#options;
    const buffer = Buffer.alloc(pieceBytes);
    for (let at = sizeBytes; at < device.sizeBytes; at += pieceBytes) {
      if (this.#talk.ended !== undefined) throw this.#talk.ended;
      const piece = buffer.subarray(0, Math.min(pieceBytes, device.sizeBytes - at));
      await device.read(piece, at);
      if (!isZero(piece)) await device.zero(at, piece.length);
    }
  }

  async #readAgain(shape: Shape): Promise<Buffer> {
    const digest = createHash('sha256');
    const named = pipelined(piecesOf(shape), (piece) => this.#namesOf(shape, piece));
    for await (const names of named) digest.update(names);
    return digest.digest();
  }
}

/** The blocks of a data frame must have the names that it gives them. */
async function check(shape: Shape, settlement: Settlement): Promise<Ready> {
  const { head, piece } = settlement;
  if (head === undefined) return settlement;
  const blocks = await unpackData(head, bytesOf(shape, piece));
  if (!namesOf(blocks, shape.blockBytes).equals(head.names)) {
    throw new TransshipError('DataCorrupt', 'blocks arrived that do not have their names');
  }
  return { ...settlement, blocks };
}

function announcement(names: Buffer): readonly Uint8Array[] {
  const isZeroAt = (index: number) => isZeroName(nameAt(names, index));
  const runs = [...runsOf(names.length / nameBytes, isZeroAt)];
  return runs.flatMap(({ from, to, kind }) =>
    kind
      ? encodeCount('zeros', to - from)
      : frame('names', names.subarray(from * nameBytes, to * nameBytes)),
  );
}

function commonVersion({ versionMin, versionMax }: Hello): number {
  const { min, max } = blockVersions;
  const version = Math.min(versionMax, max);
  if (version >= Math.max(versionMin, min)) return version;
  const theirs = `${versionMin} to ${versionMax}`;
  fail('ProtocolError', `the sender speaks versions ${theirs}, this side ${min} to ${max}`);
}
