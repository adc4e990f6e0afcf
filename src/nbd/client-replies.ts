/** Reads the server's replies, simple and structured, straight into the memory of the readers. */
import { type TransshipError, fail } from '../base/errors.ts';
import { getUint64, viewOf } from './bytes.ts';
import {
  allocationContext,
  chunkFlagDone,
  chunkKind,
  chunkKindError,
  command,
  magic,
  nbdLimits,
  simpleReplyBytes,
  structuredReplyBytes,
} from './protocol.ts';
import { errorOfErrno } from './client-errors.ts';

/** A request that waits for its reply. */
export interface PendingRequest {
  readonly type: number;
  readonly offset: number;
  readonly length: number;
  /** Where a read's data goes. */
  readonly into?: Uint8Array;
  readonly extents?: { lengthBytes: number; hole: boolean }[];
  /** Of a read, how many bytes came. */
  receivedBytes: number;
  error: TransshipError | undefined;
  readonly resolve: () => void;
  readonly reject: (error: TransshipError) => void;
}

/** A structured chunk that is neither data nor absurdly long. */
const payloadBytesMax = 8 * 1024 * 1024;

export class ReplyReader {
  readonly #pending: Map<number, PendingRequest>;
  readonly #allocationId: number | undefined;
  readonly #header = new Uint8Array(structuredReplyBytes + 8);
  readonly #view = viewOf(this.#header);
  #headerFill = 0;
  #headerNeed: number = simpleReplyBytes;
  /** Data bytes of the present reply still to come, and where they go in the request's memory. */
  #dataLeft = 0;
  #dataAt = 0;
  #request: PendingRequest | undefined;
  #cookie = 0;
  #done = false;
  #payload: Uint8Array | undefined;
  #payloadFill = 0;
  #kind = 0;

  constructor(pending: Map<number, PendingRequest>, allocationId: number | undefined) {
    this.#pending = pending;
    this.#allocationId = allocationId;
  }

  /** Throws `ProtocolError` at nonsense; the connection is then of no use any more. */
  receive(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#dataLeft > 0) at += this.#takeData(bytes, at);
      else if (this.#payload !== undefined) at += this.#takePayload(bytes, at);
      else at += this.#takeHeader(bytes, at);
    }
  }

  #takeHeader(bytes: Uint8Array, at: number): number {
    const count = Math.min(this.#headerNeed - this.#headerFill, bytes.length - at);
    this.#header.set(bytes.subarray(at, at + count), this.#headerFill);
    this.#headerFill += count;
    if (this.#headerFill < this.#headerNeed) return count;
    if (this.#headerNeed === simpleReplyBytes) this.#firstHeader();
    else if (this.#headerNeed === structuredReplyBytes) this.#chunkHeader();
    else this.#dataHeader();
    return count;
  }

  #nextReply(): void {
    this.#headerFill = 0;
    this.#headerNeed = simpleReplyBytes;
  }

  #find(): PendingRequest {
    this.#cookie = this.#view.getUint32(12);
    const request = this.#view.getUint32(8) === 0 ? this.#pending.get(this.#cookie) : undefined;
    if (request === undefined) fail('ProtocolError', 'the NBD server replied to no request');
    this.#request = request;
    return request;
  }

  #firstHeader(): void {
    const kind = this.#view.getUint32(0);
    if (kind === magic.structuredReply) {
      this.#headerNeed = structuredReplyBytes;
      return;
    }
    if (kind !== magic.simpleReply) fail('ProtocolError', 'the NBD server sent a wrong magic');
    const request = this.#find();
    const error = this.#view.getUint32(4);
    this.#done = true;
    if (error !== 0) request.error = errorOfErrno(error, '');
    if (error === 0 && request.type === command.read && request.length > 0) {
      this.#dataAt = 0;
      this.#dataLeft = request.length;
      request.receivedBytes = request.length;
      this.#nextReply();
    } else {
      if (request.type === command.blockStatus && error === 0) {
        fail('ProtocolError', 'the NBD server sent no block status');
      }
      this.#finish();
    }
  }

  #chunkHeader(): void {
    const request = this.#find();
    this.#done = (this.#view.getUint16(4) & chunkFlagDone) !== 0;
    this.#kind = this.#view.getUint16(6);
    const length = this.#view.getUint32(16);
    if (this.#kind === chunkKind.offsetData) {
      if (length <= 8 || request.type !== command.read) {
        fail('ProtocolError', 'the NBD server sent data that was not asked for');
      }
      this.#headerNeed = structuredReplyBytes + 8;
      return;
    }
    if (length > payloadBytesMax) {
      fail('ProtocolError', `the NBD server sent a chunk of ${length} bytes`);
    }
    if (length === 0) {
      this.#endChunk(new Uint8Array(0));
      return;
    }
    this.#payload = new Uint8Array(length);
    this.#payloadFill = 0;
  }

  #dataHeader(): void {
    const request = this.#request;
    const length = this.#view.getUint32(16) - 8;
    const offset = getUint64(this.#view, structuredReplyBytes);
    if (request === undefined) fail('ProtocolError', 'the NBD server replied to no request');
    this.#claim(request, offset, length);
    this.#dataAt = offset - request.offset;
    this.#dataLeft = length;
    this.#nextReply();
  }

  /** A part of a read's range is answered. */
  #claim(request: PendingRequest, offset: number, length: number): void {
    if (offset < request.offset || offset + length > request.offset + request.length) {
      fail('ProtocolError', 'the NBD server sent data outside the range that was asked for');
    }
    request.receivedBytes += length;
    if (request.receivedBytes > request.length) {
      fail('ProtocolError', 'the NBD server sent the same data twice');
    }
  }

  #takeData(bytes: Uint8Array, at: number): number {
    const count = Math.min(this.#dataLeft, bytes.length - at);
    this.#request?.into?.set(bytes.subarray(at, at + count), this.#dataAt);
    this.#dataAt += count;
    this.#dataLeft -= count;
    if (this.#dataLeft === 0) this.#finish();
    return count;
  }

  #takePayload(bytes: Uint8Array, at: number): number {
    const payload = this.#payload!;
    const count = Math.min(payload.length - this.#payloadFill, bytes.length - at);
    payload.set(bytes.subarray(at, at + count), this.#payloadFill);
    this.#payloadFill += count;
    if (this.#payloadFill === payload.length) {
      this.#payload = undefined;
      this.#endChunk(payload);
    }
    return count;
  }

  #endChunk(payload: Uint8Array): void {
    const request = this.#request!;
    const view = viewOf(payload);
    if ((this.#kind & chunkKindError) !== 0) {
      if (payload.length < 6) fail('ProtocolError', 'the NBD server sent a short error');
      const end = Math.min(payload.length, 6 + view.getUint16(4), nbdLimits.stringBytesMax);
      const text = new TextDecoder().decode(payload.subarray(6, end));
      request.error = errorOfErrno(view.getUint32(0), text);
    } else if (this.#kind === chunkKind.offsetHole) {
      if (payload.length !== 12 || request.type !== command.read) {
        fail('ProtocolError', 'the NBD server sent a malformed hole');
      }
      const offset = getUint64(view, 0);
      const length = view.getUint32(8);
      this.#claim(request, offset, length);
      const start = offset - request.offset;
      request.into?.fill(0, start, start + length);
    } else if (this.#kind === chunkKind.blockStatus) {
      this.#blockStatus(request, view);
    } else if (this.#kind !== chunkKind.none) {
      fail('ProtocolError', `the NBD server sent an unknown chunk ${this.#kind}`);
    }
    this.#finish();
  }

  #blockStatus(request: PendingRequest, view: DataView): void {
    const malformed = view.byteLength < 12 || (view.byteLength - 4) % 8 !== 0;
    if (malformed || request.extents === undefined) {
      fail('ProtocolError', 'the NBD server sent a malformed block status');
    }
    if (view.getUint32(0) !== this.#allocationId) return;
    for (let at = 4; at < view.byteLength; at += 8) {
      const lengthBytes = view.getUint32(at);
      if (lengthBytes === 0) fail('ProtocolError', 'the NBD server sent an empty extent');
      // What does not read as zeroes has to be copied, whether storage is behind it or not.
      const hole = (view.getUint32(at + 4) & allocationContext.zero) !== 0;
      request.extents.push({ lengthBytes, hole });
    }
  }

  /** The present chunk or simple reply has ended. */
  #finish(): void {
    const request = this.#request!;
    this.#nextReply();
    if (!this.#done) return;
    const missing = request.type === command.read && request.receivedBytes < request.length;
    if (missing && request.error === undefined) {
      fail('ProtocolError', 'the NBD server left out a part of a read');
    }
    this.#request = undefined;
    this.#pending.delete(this.#cookie);
    if (request.error !== undefined) request.reject(request.error);
    else request.resolve();
  }
}
