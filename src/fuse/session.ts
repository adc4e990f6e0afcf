/**
 * One mount of a directory with one file, `disk`, whose bytes are those of a block device: requests
 * of the kernel in, device calls, answers out. The file is as long as the device is now, so it
 * grows with it. A request from outside never throws out of `receive`.
 */
import { asTransshipError } from '../base/errors.ts';
import type { BlockDevice } from '../base/ports.ts';
import {
  attributesReply,
  directoryReply,
  entryReply,
  errorReply,
  initReply,
  openReply,
  replyWith,
  statisticsReply,
  writeHeader,
  writeReply,
} from './reply.ts';
import {
  allocationOf,
  initOf,
  nameOf,
  RequestHeader,
  type Transfer,
  transferOf,
  writeDataOf,
} from './request.ts';
import {
  errno,
  errnoOf,
  fallocateModes,
  fileName,
  fuseLimits,
  minorMin,
  nodes,
  opcode,
  sizes,
  version,
} from './protocol.ts';

export interface FuseSessionOptions {
  readonly device: BlockDevice;
  /** Sends one whole answer before it returns. Fails only by closing the session. */
  readonly send: (reply: Uint8Array) => void;
  /** Of each request that failed. */
  readonly onError?: (error: unknown) => void;
}

export class FuseSession {
  readonly #device: BlockDevice;
  readonly #send: (reply: Uint8Array) => void;
  readonly #onError: (error: unknown) => void;
  readonly #header = new RequestHeader();

  constructor({ device, send, onError }: FuseSessionOptions) {
    this.#device = device;
    this.#send = send;
    this.#onError = onError ?? (() => undefined);
  }

  /** One request, whose memory is the caller's again when this returns. */
  receive(request: Uint8Array): void {
    const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
    const header = this.#header;
    if (!header.read(view)) return;
    const { unique } = header;
    switch (header.opcode) {
      case opcode.read:
        return this.#read(unique, view);
      case opcode.write:
        return this.#write(unique, view, request);
      case opcode.fsync:
        return this.#finish(unique, () => this.#device.flush());
      case opcode.fallocate:
        return this.#allocate(unique, view);
      // Closing one of several descriptors: what was written is in the device already.
      case opcode.flush:
      case opcode.release:
      case opcode.releasedir:
      case opcode.access:
      case opcode.destroy:
        return this.#send(replyWith(unique, 0));
      // Of an interrupted request: it is done soon, and has its answer then.
      case opcode.interrupt:
      case opcode.forget:
      case opcode.batchForget:
        return undefined;
      default:
        return this.#send(this.#describe(unique, view, request));
    }
  }

  /** What is answered without asking the device. */
  #describe(unique: bigint, view: DataView, request: Uint8Array): Uint8Array {
    const device = this.#device;
    const { node } = this.#header;
    switch (this.#header.opcode) {
      case opcode.init: {
        const asked = initOf(view);
        const isKnown = asked?.major === version.major && asked.minor >= minorMin;
        return isKnown ? initReply(unique, asked) : errorReply(unique, errno.invalid);
      }
      case opcode.lookup:
        if (node === nodes.directory && nameOf(request) === fileName) {
          return entryReply(unique, device);
        }
        return errorReply(unique, errno.notFound);
      case opcode.getattr:
        return attributesReply(unique, node, device);
      case opcode.open:
      case opcode.opendir:
        return openReply(unique);
      case opcode.readdir:
        return directoryReply(unique, transferOf(view)?.offset ?? 0);
      case opcode.statfs:
        return statisticsReply(unique, device);
      default:
        return errorReply(unique, errno.notImplemented);
    }
  }

  #read(unique: bigint, view: DataView): void {
    const asked = transferOf(view);
    if (asked === undefined || asked.length > fuseLimits.dataBytesMax) {
      return this.#send(errorReply(unique, errno.invalid));
    }
    const { offset } = asked;
    // At its end a file gives less than was asked for.
    const length = Math.max(0, Math.min(asked.length, this.#device.sizeBytes - offset));
    const reply = Buffer.allocUnsafe(sizes.outHeader + length);
    writeHeader(reply, unique, 0);
    if (length === 0) return this.#send(reply);
    const into = reply.subarray(sizes.outHeader);
    return this.#finish(unique, () => this.#device.read(into, offset), reply);
  }

  #write(unique: bigint, view: DataView, request: Uint8Array): void {
    const asked = transferOf(view);
    const data = asked === undefined ? undefined : writeDataOf(request, asked);
    if (asked === undefined || data === undefined) {
      return this.#send(errorReply(unique, errno.invalid));
    }
    const refusal = this.#refusal(asked);
    if (refusal !== undefined) return this.#send(errorReply(unique, refusal));
    const reply = writeReply(unique, data.length);
    return this.#finish(unique, () => this.#device.write(data, asked.offset), reply);
  }

  #allocate(unique: bigint, view: DataView): void {
    const asked = allocationOf(view);
    if (asked === undefined) return this.#send(errorReply(unique, errno.invalid));
    const { offset, length, mode } = asked;
    const { keepSize, punchHole, zeroRange } = fallocateModes;
    const isZeroes = mode === (keepSize | punchHole) || mode === (keepSize | zeroRange);
    if (!isZeroes) return this.#send(errorReply(unique, errno.notSupported));
    const refusal = this.#refusal(asked);
    if (refusal !== undefined) return this.#send(errorReply(unique, refusal));
    return this.#finish(unique, () => this.#device.writeZeroes(offset, length));
  }

  #refusal({ offset, length }: Transfer): number | undefined {
    if (this.#device.readOnly) return errno.readOnly;
    return offset + length > this.#device.sizeBytes ? errno.noSpace : undefined;
  }

  /** Answers with `reply`, by default an empty one, when the device is done. */
  #finish(unique: bigint, work: () => undefined | Promise<void>, reply?: Uint8Array): void {
    let pending: undefined | Promise<void>;
    try {
      pending = work();
    } catch (error) {
      return this.#fail(unique, error);
    }
    const answer = () => this.#send(reply ?? replyWith(unique, 0));
    if (pending === undefined) return answer();
    pending.then(answer, (error: unknown) => this.#fail(unique, error));
    return undefined;
  }

  #fail(unique: bigint, error: unknown): void {
    this.#onError(error);
    this.#send(errorReply(unique, errnoOf(asTransshipError(error).reason)));
  }
}
