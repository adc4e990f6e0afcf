/** Frames of docs/formats/peer.md, section "Frame": header codec and an incremental decoder. */
import { assert, fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

export type Lane = 'demand' | 'background';

export const frameHeaderBytes = 16;

const lastFlag = 1;

export interface FrameHead {
  /** One of `operations`, with `replyBit` in replies, or `errorType`. */
  readonly type: number;
  readonly lane: Lane;
  /** No further frame of this request or reply follows. */
  readonly last: boolean;
  readonly number: number;
  readonly argument: number;
}

export interface Frame extends FrameHead {
  readonly payload: Uint8Array;
}

export function encodeFrameHead(head: FrameHead, payloadBytes: number): Uint8Array {
  assert(payloadBytes <= limits.frameBytesMax, `a frame of ${payloadBytes} bytes`);
  const bytes = new Uint8Array(frameHeaderBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payloadBytes, true);
  view.setUint8(4, head.type);
  view.setUint8(5, head.lane === 'demand' ? 0 : 1);
  view.setUint8(6, head.last ? lastFlag : 0);
  view.setUint32(8, head.number, true);
  view.setUint32(12, head.argument, true);
  return bytes;
}

export interface FrameDecoder {
  /**
   * Takes the next bytes and calls `onFrame` for each frame they complete. `ProtocolError` for a
   * header that breaks the rules; nothing after it can be trusted, so the decoder refuses the rest.
   */
  push(bytes: Uint8Array): void;
  /** Frames may be longer from here on: the other end is known. */
  trust(): void;
  /** Drops what is half there and everything that follows. */
  stop(): void;
}

export function createFrameDecoder(onFrame: (frame: Frame) => void): FrameDecoder {
  return new Decoder(onFrame);
}

class Decoder implements FrameDecoder {
  readonly #onFrame: (frame: Frame) => void;
  readonly #header = new Uint8Array(frameHeaderBytes);
  #lengthMax: number = limits.frameBytesStranger;
  #headerFilled = 0;
  #head: FrameHead | undefined;
  #payload: Uint8Array = new Uint8Array(0);
  #payloadFilled = 0;
  #stopped = false;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  trust(): void {
    this.#lengthMax = limits.frameBytesMax;
  }

  stop(): void {
    this.#stopped = true;
    this.#payload = new Uint8Array(0);
  }

  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && !this.#stopped) {
      at = this.#head === undefined ? this.#takeHeader(bytes, at) : this.#takePayload(bytes, at);
    }
  }

  #takeHeader(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + frameHeaderBytes - this.#headerFilled);
    this.#header.set(bytes.subarray(at, end), this.#headerFilled);
    this.#headerFilled += end - at;
    if (this.#headerFilled < frameHeaderBytes) return end;
    this.#headerFilled = 0;
    const view = new DataView(this.#header.buffer);
    const length = view.getUint32(0, true);
    try {
      this.#head = decodeHead(view, length, this.#lengthMax);
    } catch (error) {
      this.stop();
      throw error;
    }
    this.#payload = allocate(length);
    this.#payloadFilled = 0;
    if (length === 0) this.#finish();
    return end;
  }

  #takePayload(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.#payload.length - this.#payloadFilled);
    this.#payload.set(bytes.subarray(at, end), this.#payloadFilled);
    this.#payloadFilled += end - at;
    if (this.#payloadFilled === this.#payload.length) this.#finish();
    return end;
  }

  #finish(): void {
    const head = this.#head;
    assert(head !== undefined, 'a payload without a header');
    const payload = this.#payload;
    this.#head = undefined;
    this.#payload = new Uint8Array(0);
    this.#onFrame({ ...head, payload });
  }
}

function decodeHead(view: DataView, length: number, lengthMax: number): FrameHead {
  const type = view.getUint8(4);
  const lane = view.getUint8(5);
  const flags = view.getUint8(6);
  if (length > lengthMax) {
    fail('ProtocolError', `a frame of ${length} bytes, more than ${lengthMax}`);
  }
  if (type === 0 || type === 127) fail('ProtocolError', `a frame of type ${type}`);
  if (lane > 1) fail('ProtocolError', `a frame of lane ${lane}`);
  if (flags > lastFlag || view.getUint8(7) !== 0) {
    fail('ProtocolError', `a frame with unknown flags ${flags}`);
  }
  return {
    type,
    lane: lane === 0 ? 'demand' : 'background',
    last: flags === lastFlag,
    number: view.getUint32(8, true),
    argument: view.getUint32(12, true),
  };
}

/** Not zeroed, because every byte is written before anybody sees the payload. */
function allocate(length: number): Uint8Array {
  return length > 4096 ? Buffer.allocUnsafeSlow(length) : Buffer.allocUnsafe(length);
}
