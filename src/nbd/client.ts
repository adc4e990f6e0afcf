/** An export of an NBD server as a block device. Requests are pipelined. */
import { TransshipError, asTransshipError } from '../base/errors.ts';
import { type BlockDevice, type Extent } from '../base/ports.ts';
import { setUint64, viewOf } from './bytes.ts';
import { type ExportDescription } from './client-handshake.ts';
import { type PendingRequest, ReplyReader } from './client-replies.ts';
import { type Connection } from './connection.ts';
import { command, magic, requestHeaderBytes, transmissionFlags } from './protocol.ts';

/** Pieces of requests without data: below 2^32 and a multiple of every block size. */
const rangeBytesMax = 1024 * 1024 * 1024;
/** Zeroes sent as data to servers that cannot make them. */
const zeroPieceBytes = 1024 * 1024;

interface Range {
  readonly offset: number;
  readonly length: number;
}

/**
 * Made when negotiation is done; the owner feeds it what the transport receives. All calls return
 * promises. Reads and writes of any length are cut to what the server takes. Memory grows with
 * what the caller asks for at once: the caller bounds that. Errors: those of the server by their
 * number (`errorOfErrno`), `SourceUnreachable` when the connection breaks, `ProtocolError`.
 */
export class NbdClient implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readOnly: boolean;
  readonly description: ExportDescription;
  readonly #connection: Connection;
  readonly #pending = new Map<number, PendingRequest>();
  readonly #replies: ReplyReader;
  #nextCookie = 1;
  #outgoing: Uint8Array[] = [];
  #broken: TransshipError | undefined;

  constructor(connection: Connection, description: ExportDescription) {
    this.#connection = connection;
    this.description = description;
    this.sizeBytes = description.sizeBytes;
    this.blockSizeBytes = description.preferredBlockBytes;
    this.readOnly = this.#has(transmissionFlags.readOnly);
    this.#replies = new ReplyReader(this.#pending, description.allocationId);
  }

  /** The connection is gone: what failed since may have happened or not. */
  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  /** Takes received bytes; keeps no reference to them. */
  receive(bytes: Uint8Array): void {
    if (this.#broken !== undefined) return;
    try {
      this.#replies.receive(bytes);
    } catch (error) {
      this.closed(asTransshipError(error));
      this.#connection.close();
    }
  }

  /** The transport is gone; everything that waits fails. */
  closed(error?: TransshipError): void {
    this.#broken ??=
      error ?? new TransshipError('SourceUnreachable', 'the NBD server closed the connection');
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const request of waiting) request.reject(this.#broken);
  }

  async read(into: Uint8Array, offset: number): Promise<void> {
    const pieces = cut({ offset, length: into.length }, this.description.requestBytesMax);
    const all = pieces.map((piece) => {
      const start = piece.offset - offset;
      const target = into.subarray(start, start + piece.length);
      return this.#request(command.read, piece, { into: target });
    });
    await settle(all);
  }

  /** Copies `from` before it returns. */
  async write(from: Uint8Array, offset: number): Promise<void> {
    const pieces = cut({ offset, length: from.length }, this.description.requestBytesMax);
    const all = pieces.map((piece) => {
      const start = piece.offset - offset;
      const payload = from.subarray(start, start + piece.length);
      return this.#request(command.write, piece, { payload });
    });
    await settle(all);
  }

  async writeZeroes(offset: number, lengthBytes: number): Promise<void> {
    const range = { offset, length: lengthBytes };
    if (this.#has(transmissionFlags.sendWriteZeroes)) {
      const pieces = cut(range, rangeBytesMax);
      await settle(pieces.map((piece) => this.#request(command.writeZeroes, piece)));
      return;
    }
    const zeroes = new Uint8Array(Math.min(zeroPieceBytes, lengthBytes));
    for (const piece of cut(range, zeroPieceBytes)) {
      await this.write(zeroes.subarray(0, piece.length), piece.offset);
    }
  }

  /** A hint that the range's content is not needed; what it reads as is then up to the server. */
  async trim(offset: number, lengthBytes: number): Promise<void> {
    if (!this.#has(transmissionFlags.sendTrim)) return;
    const pieces = cut({ offset, length: lengthBytes }, rangeBytesMax);
    await settle(pieces.map((piece) => this.#request(command.trim, piece)));
  }

  async flush(): Promise<void> {
    if (!this.#has(transmissionFlags.sendFlush)) return;
    await this.#request(command.flush, { offset: 0, length: 0 });
  }

  async prefetch(offset: number, lengthBytes: number): Promise<void> {
    if (!this.#has(transmissionFlags.sendCache)) return;
    const pieces = cut({ offset, length: lengthBytes }, this.description.requestBytesMax);
    await settle(pieces.map((piece) => this.#request(command.cache, piece)));
  }

  /** Holes are what reads as zeroes. Without `base:allocation` everything is data. */
  async extents(offset: number, lengthBytes: number): Promise<readonly Extent[]> {
    if (this.description.allocationId === undefined) return [{ lengthBytes, hole: false }];
    const merged: { lengthBytes: number; hole: boolean }[] = [];
    const end = offset + lengthBytes;
    let at = offset;
    while (at < end) {
      const piece = { offset: at, length: Math.min(end - at, rangeBytesMax) };
      const extents: { lengthBytes: number; hole: boolean }[] = [];
      await this.#request(command.blockStatus, piece, { extents });
      if (extents.length === 0) extents.push({ lengthBytes: piece.length, hole: false });
      for (const extent of extents) {
        // The last one may reach past what was asked for.
        const length = Math.min(extent.lengthBytes, end - at);
        if (length <= 0) break;
        const last = merged.at(-1);
        if (last?.hole === extent.hole) last.lengthBytes += length;
        else merged.push({ lengthBytes: length, hole: extent.hole });
        at += length;
      }
    }
    return merged;
  }

  /** Requests of one turn of the event loop are sent together anyway. */
  cork(): void {}

  uncork(): void {}

  /** Says goodbye; call when nothing is in flight. */
  disconnect(): void {
    if (this.#broken !== undefined) return;
    const frame = this.#frame(command.disconnect, { offset: 0, length: 0 }, 0);
    this.#outgoing.push(frame);
    this.#send();
    this.closed(new TransshipError('Canceled', 'the NBD connection was closed'));
    this.#connection.close();
  }

  #has(flag: number): boolean {
    return (this.description.flags & flag) !== 0;
  }

  #request(
    type: number,
    range: Range,
    extra: {
      readonly into?: Uint8Array;
      readonly payload?: Uint8Array;
      readonly extents?: { lengthBytes: number; hole: boolean }[];
    } = {},
  ): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const { payload, ...rest } = extra;
    const cookie = this.#newCookie();
    return new Promise((resolve, reject) => {
      const waiting = { receivedBytes: 0, error: undefined, resolve, reject };
      this.#pending.set(cookie, { type, ...range, ...rest, ...waiting });
      const frame = this.#frame(type, range, cookie, payload);
      this.#outgoing.push(frame);
      if (this.#outgoing.length === 1) queueMicrotask(() => this.#send());
    });
  }

  #newCookie(): number {
    let cookie = this.#nextCookie;
    while (this.#pending.has(cookie)) cookie = (cookie + 1) >>> 0;
    this.#nextCookie = (cookie + 1) >>> 0;
    return cookie;
  }

  #frame(type: number, range: Range, cookie: number, payload?: Uint8Array): Uint8Array {
    const frame = Buffer.allocUnsafe(requestHeaderBytes + (payload?.length ?? 0));
    const view = viewOf(frame);
    view.setUint32(0, magic.request);
    view.setUint16(4, 0);
    view.setUint16(6, type);
    view.setUint32(8, 0);
    view.setUint32(12, cookie);
    setUint64(view, 16, range.offset);
    view.setUint32(24, range.length);
    if (payload !== undefined) frame.set(payload, requestHeaderBytes);
    return frame;
  }

  #send(): void {
    // Requests of the same turn may have been refused since: the connection is closed then.
    if (this.#outgoing.length === 0 || this.#broken !== undefined) return;
    const parts = this.#outgoing;
    this.#outgoing = [];
    this.#connection.write(parts);
  }
}

function cut(range: Range, pieceBytesMax: number): Range[] {
  const pieces: Range[] = [];
  const end = range.offset + range.length;
  for (let at = range.offset; at < end; at += pieceBytesMax) {
    pieces.push({ offset: at, length: Math.min(pieceBytesMax, end - at) });
  }
  return pieces;
}

/** Waits for all, so that none still uses the caller's memory when one has failed. */
async function settle(all: readonly Promise<void>[]): Promise<void> {
  if (all.length === 1) return all[0];
  for (const result of await Promise.allSettled(all)) {
    if (result.status === 'rejected') throw result.reason;
  }
  return undefined;
}
