/** The server's side of the transmission phase (proto.md, "Transmission"). */
import { type BlockDevice } from '../base/ports.ts';
import { type Connection } from './connection.ts';
import { type NbdCounters, countError } from './counters.ts';
import { FrameReader } from './frames.ts';
import { type Agreement } from './handshake.ts';
import { Outbox } from './outbox.ts';
import { command, commandFlags, errno, nbdLimits, simpleReplyBytes } from './protocol.ts';
import {
  type Cookie,
  blockStatusChunk,
  dataHeaderBytes,
  errorReply,
  failureOf,
  putDataHeader,
  putSimpleReply,
  simpleReplies,
} from './reply.ts';
import { type ReplyChunk, type ReplyChunkPool } from './reply-chunks.ts';
import { type RequestHeader, refusalOf } from './request.ts';

const nothing = new Uint8Array(0);

/**
 * Serves requests of one connection. All requests of one `receive` are done in a loop, their
 * writes between `cork` and `uncork`, their replies sent together; what the device answers later is
 * replied to later. When too much is in flight, reading pauses (`nbdLimits`).
 */
export class Transmission {
  readonly #connection: Connection;
  readonly #device: BlockDevice;
  readonly #agreement: Agreement;
  readonly #counters: NbdCounters;
  readonly #onEnd: () => void;
  readonly #outbox: Outbox;
  readonly #frames = new FrameReader();
  readonly #request = this.#frames.request;
  /** Received, but not looked at because too much is in flight. */
  #backlog: Uint8Array = nothing;
  #paused = false;
  #serving = false;
  #corked = false;
  #ending = false;
  #ended = false;
  /** Requests the device has not answered. */
  #inFlight = 0;
  /** Where in the chunk the replies of corked writes are, should `uncork` fail. */
  #writeReplies: number[] = [];
  /** Done but for the flush that they asked for. */
  #flushWaiters: Cookie[] = [];

  constructor(options: {
    readonly connection: Connection;
    readonly agreement: Agreement;
    readonly pool: ReplyChunkPool;
    readonly counters: NbdCounters;
    /** Called once, when the connection is closed and no request is with the device any more. */
    readonly onEnd: () => void;
  }) {
    this.#connection = options.connection;
    this.#agreement = options.agreement;
    this.#device = options.agreement.device;
    this.#counters = options.counters;
    this.#onEnd = options.onEnd;
    this.#outbox = new Outbox(options.connection, options.pool, () => this.#progress());
  }

  /**
   * Takes received bytes, keeps no reference to them, and returns how many were taken. Requests of
   * up to `redeliverBytes` that are not whole are left, to be given again with more behind them;
   * with 0 everything is always taken.
   */
  receive(bytes: Uint8Array, redeliverBytes = 0): number {
    if (this.#ending) return bytes.length;
    if (this.#paused) {
      this.#backlog = Buffer.concat([this.#backlog, bytes]);
      return bytes.length;
    }
    const served = this.#serve(bytes, redeliverBytes);
    if (served === bytes.length || this.#ending) return bytes.length;
    if (this.#frames.hasLeft) return served;
    // A copy, because the transport reads the next bytes into the same memory.
    this.#backlog = bytes.slice(served);
    this.#paused = true;
    this.#connection.pause();
    this.#progress();
    return bytes.length;
  }

  /** Takes no more requests; answers those in flight, then closes the connection. */
  stop(): void {
    this.#ending = true;
    this.#progress();
  }

  /** The transport is gone. */
  closed(): void {
    this.#outbox.drop();
    this.#ending = true;
    this.#progress();
  }

  #progress(): void {
    if (this.#serving || this.#ended) return;
    if (this.#ending) {
      if (this.#inFlight > 0) return;
      this.#ended = true;
      this.#outbox.sendNow();
      this.#connection.close();
      this.#onEnd();
      return;
    }
    if (!this.#paused) return;
    const served = this.#serve(this.#backlog, 0);
    this.#backlog = this.#backlog.subarray(served);
    if (this.#ending) this.#progress();
    if (this.#backlog.length > 0 || this.#ending) return;
    this.#backlog = nothing;
    this.#paused = false;
    this.#connection.resume();
  }

  /** Serves as much of `bytes` as the limits allow; returns how much. */
  #serve(bytes: Uint8Array, redeliverBytes: number): number {
    this.#serving = true;
    this.#frames.begin(bytes, redeliverBytes);
    this.#serveRequests();
    this.#frames.end();
    this.#endBatch();
    this.#serving = false;
    if (this.#ending) this.#progress();
    return this.#frames.takenBytes;
  }

  #serveRequests(): void {
    const frames = this.#frames;
    while (!this.#ending) {
      const step = frames.next();
      if (step === 'more') return;
      if (step === 'content') {
        this.#write(frames.content);
      } else if (step === 'nonsense') {
        this.#ending = true;
      } else if (this.#admits()) {
        this.#dispatch();
      } else {
        frames.putBack();
        return;
      }
      if (this.#outbox.batchBytes >= nbdLimits.batchBytesMax) this.#endBatch();
    }
  }

  /** Whether the limits allow one more request, this one. */
  #admits(): boolean {
    if (this.#inFlight >= nbdLimits.requestsInFlightMax) return false;
    return this.#outbox.canReserve(this.#replyBytes());
  }

  /** The most that the reply to the present request may take. */
  #replyBytes(): number {
    const { type, length } = this.#request;
    if (type !== command.read || length > nbdLimits.requestBytesMax) {
      return nbdLimits.plainReplyBytes;
    }
    return nbdLimits.plainReplyBytes + length;
  }

  #dispatch(): void {
    const request = this.#request;
    const refusal = refusalOf(request, this.#device, this.#agreement.allocationContext);
    if (refusal !== undefined) {
      if (request.payloadBytes > nbdLimits.discardBytesMax) {
        this.#ending = true;
        return;
      }
      this.#error(request, refusal.error, refusal.message);
      this.#frames.skipPayload();
      return;
    }
    this.#counters.requests[request.type] = (this.#counters.requests[request.type] ?? 0) + 1;
    switch (request.type) {
      case command.read:
        this.#read();
        return;
      case command.write: {
        const content = this.#frames.takePayload();
        if (content !== undefined) this.#write(content);
        return;
      }
      case command.disconnect:
        this.#ending = true;
        return;
      case command.flush:
        this.#flushWaiters.push(cookieOf(request));
        return;
      case command.trim:
      case command.writeZeroes:
        this.#change(() => this.#device.writeZeroes(request.offset, request.length));
        return;
      case command.cache:
        if (request.length === 0) this.#change(() => undefined);
        else this.#doneLater(() => this.#device.prefetch(request.offset, request.length));
        return;
      default:
        this.#blockStatus();
    }
  }

  #read(): void {
    const request = this.#request;
    const structured = this.#agreement.structuredReplies;
    const headerBytes = dataHeaderBytes(structured, request.length);
    const chunk = this.#reserve(this.#replyBytes());
    const at = chunk.position;
    if (structured) putDataHeader(chunk.view, at, request);
    else putSimpleReply(chunk.view, at, request, errno.ok);
    const dataAt = at + headerBytes;
    chunk.position = dataAt + request.length;
    this.#counters.bytesRead += request.length;
    let later: undefined | Promise<void>;
    try {
      const into = chunk.bytes.subarray(dataAt, chunk.position);
      later = request.length === 0 ? undefined : this.#device.read(into, request.offset);
    } catch (error) {
      chunk.position = at;
      this.#failed(request, error);
      return;
    }
    if (later !== undefined) this.#readLater(later, chunk, at);
  }

  #readLater(later: Promise<void>, chunk: ReplyChunk, at: number): void {
    const cookie = cookieOf(this.#request);
    const part = chunk.bytes.subarray(at, chunk.position);
    this.#outbox.defer(chunk, at);
    this.#inFlight += 1;
    void later.then(
      () => {
        this.#outbox.sendDeferred(chunk, part);
        this.#landed(1);
      },
      (error: unknown) => {
        this.#outbox.sendDeferred(chunk, undefined);
        this.#failedLater(cookie, error);
        this.#landed(1);
      },
    );
  }

  #write(content: Uint8Array): void {
    this.#counters.bytesWritten += content.length;
    this.#change(() => this.#device.write(content, this.#request.offset));
  }

  /** Runs a change of the device and replies, after a flush when the client asked for one. */
  #change(run: () => undefined | Promise<void>): void {
    const request = this.#request;
    // Room first: making it may send the batch, and this change belongs to the next one then.
    const chunk = this.#reserve(nbdLimits.plainReplyBytes);
    let later: undefined | Promise<void>;
    try {
      if (!this.#corked) {
        this.#device.cork();
        this.#corked = true;
      }
      later = request.length === 0 ? undefined : run();
    } catch (error) {
      this.#failed(request, error);
      return;
    }
    if (later !== undefined) {
      const { forceUnitAccess } = request;
      this.#doneLater(async () => {
        await later;
        if (forceUnitAccess) await this.#device.flush();
      });
    } else if (request.forceUnitAccess) {
      this.#flushWaiters.push(cookieOf(request));
    } else {
      this.#writeReplies.push(chunk.position);
      putSimpleReply(chunk.view, chunk.position, request, errno.ok);
      chunk.position += simpleReplyBytes;
    }
  }

  /** Replies without data to the present request when `run` has ended. */
  #doneLater(run: () => Promise<void>): void {
    const cookies = [cookieOf(this.#request)];
    void this.#later(cookies, async () => {
      await run();
      return simpleReplies(cookies, errno.ok);
    });
  }

  /** Sends what `answer` gives when the device has answered, or an error to each of `cookies`. */
  async #later(cookies: readonly Cookie[], answer: () => Promise<Uint8Array>): Promise<void> {
    this.#inFlight += cookies.length;
    try {
      this.#outbox.sendLate(await answer());
    } catch (error) {
      for (const cookie of cookies) this.#failedLater(cookie, error);
    }
    this.#landed(cookies.length);
  }

  #blockStatus(): void {
    const { offset, length, flags } = this.#request;
    const requestOne = (flags & commandFlags.requestOne) !== 0;
    const request = { ...cookieOf(this.#request), length, requestOne };
    void this.#later([request], async () =>
      blockStatusChunk(request, await this.#device.extents(offset, length)),
    );
  }

  #landed(requests: number): void {
    this.#inFlight -= requests;
    this.#progress();
  }

  #reserve(sizeBytes: number): ReplyChunk {
    if (this.#outbox.isFullFor(sizeBytes)) this.#endBatch();
    return this.#outbox.reserve(sizeBytes);
  }

  /** Makes the batch's writes visible, sends its replies and starts the flush it asked for. */
  #endBatch(): void {
    if (this.#corked) {
      this.#corked = false;
      try {
        this.#device.uncork();
      } catch (error) {
        this.#failBatch(error);
      }
    }
    this.#writeReplies.length = 0;
    this.#outbox.send();
    if (this.#flushWaiters.length === 0) return;
    const waiters = this.#flushWaiters;
    this.#flushWaiters = [];
    void this.#later(waiters, async () => {
      await this.#device.flush();
      return simpleReplies(waiters, errno.ok);
    });
  }

  /** `uncork` failed, so none of its writes may be acknowledged. */
  #failBatch(error: unknown): void {
    const { code } = failureOf(error);
    const chunk = this.#outbox.reserve(0);
    for (const at of this.#writeReplies) chunk.view.setUint32(at + 4, code);
    const waiters = this.#flushWaiters;
    this.#flushWaiters = [];
    for (const waiter of waiters) this.#failedLater(waiter, error);
  }

  #failed(cookie: Cookie, error: unknown): void {
    const { code, message } = failureOf(error);
    this.#error(cookie, code, message);
  }

  /** Replies with an error, in the batch. */
  #error(cookie: Cookie, code: number, message: string): void {
    countError(this.#counters, cookie.type);
    const chunk = this.#reserve(nbdLimits.plainReplyBytes);
    const reply = errorReply(this.#agreement.structuredReplies, cookie, { code, message });
    chunk.bytes.set(reply, chunk.position);
    chunk.position += reply.length;
  }

  #failedLater(cookie: Cookie, error: unknown): void {
    const failure = failureOf(error);
    countError(this.#counters, cookie.type);
    this.#outbox.sendLate(errorReply(this.#agreement.structuredReplies, cookie, failure));
  }
}

function cookieOf(request: RequestHeader): Cookie {
  return { cookieHigh: request.cookieHigh, cookieLow: request.cookieLow, type: request.type };
}
