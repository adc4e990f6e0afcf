/**
 * One link as a place to ask and to answer: matches replies to requests, keeps the link alive, and
 * ends it when the other side breaks the rules. Both ends are the same (docs/formats/peer.md).
 */
import { asTransshipError, AssertionFailure, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Clock, Timer } from '../base/ports.ts';
import { createFrameDecoder, type Frame, type FrameDecoder, type Lane } from './frame.ts';
import { decodeJson, encodeJson } from './json-fields.ts';
import type { Link, LinkRemote } from './link.ts';
import { decodeError, encodeError, errorType, operations, replyBit } from './messages.ts';
import { createOutbox, type Outbox } from './outbox.ts';

export interface Call {
  /** One of `operations`. */
  readonly type: number;
  readonly lane: Lane;
  readonly payload: readonly Uint8Array[];
  /** The most reply bytes that are welcome. */
  readonly credit: number;
  /** Ends the waiting with its reason; the reply is dropped when it comes. */
  readonly signal?: AbortSignal;
}

export interface Reply {
  readonly payloads: readonly Uint8Array[];
  readonly argument: number;
}

/** What the other end asks. */
export interface Incoming {
  readonly type: number;
  readonly lane: Lane;
  readonly credit: number;
  readonly payload: Uint8Array;
}

export interface Answer {
  /** One frame of the reply; resolves when the link has room for more. */
  frame(
    payload: readonly Uint8Array[],
    end: { readonly last: boolean; readonly argument?: number },
  ): Promise<void>;
  fail(error: TransshipError): void;
  /** Nobody waits for the reply any more: the link is gone. */
  readonly abandoned: boolean;
}

export type Handler = (incoming: Incoming, answer: Answer) => void;

export interface SessionOptions {
  readonly link: Link;
  readonly clock: Clock;
  /** The other cluster, for messages. */
  readonly name: string;
  readonly handler: Handler;
  readonly onClose: (error: TransshipError) => void;
  readonly onRoundTrip?: (ms: number) => void;
}

export interface Session {
  readonly remote: LinkRemote;
  readonly isOpen: boolean;
  readonly openRequests: number;
  readonly openCredit: number;
  /** Payload bytes of open requests. */
  readonly openBytes: number;
  /**
   * Rejects with the error the other end answered, with `LinkLost` when the link died first, or
   * with the signal's reason.
   */
  request(call: Call): Promise<Reply>;
  /** The other end proved who it is: larger frames, another handler, pings from now on. */
  admit(handler: Handler): void;
  /** Sends what waits, then ends. Requests that wait are lost with this error. */
  close(error: TransshipError): void;
}

/** The link died before the reply was complete. The request may be sent again on another. */
export class LinkLost extends TransshipError {
  /** Frames of the reply that came before the end. */
  readonly payloads: readonly Uint8Array[];

  constructor(cause: TransshipError, payloads: readonly Uint8Array[] = []) {
    super(cause.reason, cause.message, { cause });
    this.name = 'LinkLost';
    this.payloads = payloads;
  }
}

export function openSession(options: SessionOptions): Session {
  const session = new LinkSession(options);
  session.start();
  return session;
}

interface Open {
  readonly type: number;
  readonly credit: number;
  readonly bytes: number;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
  /** Undefined once nobody waits: the rest of the reply is counted and dropped. */
  payloads: Uint8Array[] | undefined;
  receivedBytes: number;
}

class LinkSession implements Session {
  readonly #options: SessionOptions;
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #decoder: FrameDecoder;
  readonly #open = new Map<number, Open>();
  #handler: Handler;
  #nextNumber = 1;
  #openCredit = 0;
  #openBytes = 0;
  #isOpen = true;
  #isAdmitted = false;
  #heardMs: number;
  #timer: Timer | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#link = options.link;
    this.#handler = options.handler;
    this.#outbox = createOutbox(options.link);
    this.#decoder = createFrameDecoder((frame) => this.#onFrame(frame));
    this.#heardMs = options.clock.monotonicMs();
  }

  get remote(): LinkRemote {
    return this.#link.remote;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get openRequests(): number {
    return this.#open.size;
  }

  get openCredit(): number {
    return this.#openCredit;
  }

  get openBytes(): number {
    return this.#openBytes;
  }

  start(): void {
    this.#link.start({
      onBytes: (bytes) => this.#onBytes(bytes),
      onDrain: () => this.#outbox.drained(),
      onClose: (error) => this.#end(error ?? ended(this.#options.name)),
    });
  }

  admit(handler: Handler): void {
    this.#handler = handler;
    this.#isAdmitted = true;
    this.#decoder.trust();
    this.#keepAlive();
  }

  request(call: Call): Promise<Reply> {
    const { signal } = call;
    signal?.throwIfAborted();
    if (!this.#isOpen) return Promise.reject(new LinkLost(ended(this.#options.name)));
    return new Promise((resolve, reject) => {
      const number = this.#takeNumber();
      const open: Open = {
        type: call.type,
        credit: call.credit,
        bytes: call.payload.reduce((sum, part) => sum + part.length, 0),
        payloads: [],
        receivedBytes: 0,
        resolve: (reply) => {
          signal?.removeEventListener('abort', abandon);
          resolve(reply);
        },
        reject: (error) => {
          signal?.removeEventListener('abort', abandon);
          reject(error);
        },
      };
      const abandon = () => {
        // The request stays open: the other end still answers it and its number is taken.
        open.payloads = undefined;
        open.reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abandon, { once: true });
      this.#open.set(number, open);
      this.#openCredit += open.credit;
      this.#openBytes += open.bytes;
      const head = { type: call.type, lane: call.lane, last: true, number, argument: call.credit };
      this.#outbox.push(head, call.payload);
    });
  }

  close(error: TransshipError): void {
    if (!this.#isOpen) return;
    this.#link.close();
    this.#end(error);
  }

  #takeNumber(): number {
    while (this.#open.has(this.#nextNumber)) this.#nextNumber = (this.#nextNumber + 1) >>> 0;
    const number = this.#nextNumber;
    this.#nextNumber = (this.#nextNumber + 1) >>> 0;
    return number;
  }

  #onBytes(bytes: Uint8Array): void {
    if (!this.#isOpen) return;
    this.#heardMs = this.#options.clock.monotonicMs();
    try {
      this.#decoder.push(bytes);
    } catch (error) {
      if (!(error instanceof TransshipError)) throw error;
      this.close(error);
    }
  }

  #onFrame(frame: Frame): void {
    if (frame.type === errorType || (frame.type & replyBit) !== 0) this.#onReply(frame);
    else this.#onRequest(frame);
  }

  #onReply(frame: Frame): void {
    const open = this.#open.get(frame.number);
    if (open === undefined) broken(`a reply to request ${frame.number}, which is not open`);
    if (frame.type === errorType) {
      const error = decodeError(frame.payload, this.#options.name);
      this.#forget(frame.number, open);
      open.reject(error);
      return;
    }
    if (frame.type !== (open.type | replyBit)) broken(`a reply of type ${frame.type}`);
    open.receivedBytes += frame.payload.length;
    // A pull may pass its credit by one chunk, so that it always gets on.
    if (open.receivedBytes > open.credit + limits.frameBytesTarget) broken('more than its credit');
    open.payloads?.push(frame.payload);
    if (!frame.last) return;
    this.#forget(frame.number, open);
    open.resolve({ payloads: open.payloads ?? [], argument: frame.argument });
  }

  #forget(number: number, open: Open): void {
    this.#open.delete(number);
    this.#openCredit -= open.credit;
    this.#openBytes -= open.bytes;
  }

  #onRequest(frame: Frame): void {
    if (!frame.last) broken('a request of several frames');
    const answer = this.#answerTo(frame);
    if (frame.type === operations.ping && this.#isAdmitted) {
      void answer.frame([encodeJson({ wallMs: this.#options.clock.wallMs() })], { last: true });
      return;
    }
    const { type, lane, argument: credit, payload } = frame;
    this.#handler({ type, lane, credit, payload }, answer);
  }

  #answerTo({ type, lane, number }: Frame): Answer {
    const isOpen = () => this.#isOpen;
    const push = (head: { type: number; last: boolean; argument: number }, parts: Uint8Array[]) => {
      this.#outbox.push({ ...head, lane, number }, parts);
      // It asks and asks and does not take the answers.
      if (this.#outbox.waitingBytes > limits.peerSendBytesMax) {
        this.close(new TransshipError('LimitExceeded', `${this.#options.name} does not read`));
      }
    };
    return {
      frame: (payload, { last, argument = 0 }) => {
        push({ type: type | replyBit, last, argument }, [...payload]);
        return this.#outbox.room(lane);
      },
      fail: (error) => {
        push({ type: errorType, last: true, argument: 0 }, [encodeError(error, type)]);
      },
      get abandoned() {
        return !isOpen();
      },
    };
  }

  #keepAlive(): void {
    this.#timer?.cancel();
    if (!this.#isOpen) return;
    const { clock, name } = this.#options;
    const silentMs = clock.monotonicMs() - this.#heardMs;
    if (silentMs >= limits.peerSilenceMs) {
      const seconds = Math.round(silentMs / 1000);
      this.close(new TransshipError('SourceUnreachable', `${name} is silent for ${seconds} s`));
      return;
    }
    void this.#ping();
    this.#timer = clock.after(limits.peerPingMs, () => this.#keepAlive());
  }

  async #ping(): Promise<void> {
    const { clock, onRoundTrip } = this.#options;
    const startMs = clock.monotonicMs();
    try {
      await this.request({ type: operations.ping, lane: 'demand', payload: [], credit: 1024 });
      onRoundTrip?.(clock.monotonicMs() - startMs);
    } catch (error) {
      if (error instanceof AssertionFailure) throw error;
      // The link died; `onClose` tells everybody.
    }
  }

  #end(error: TransshipError): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#timer?.cancel();
    this.#decoder.stop();
    this.#outbox.end();
    const lost = [...this.#open.values()];
    this.#open.clear();
    this.#openCredit = 0;
    this.#openBytes = 0;
    for (const open of lost) open.reject(new LinkLost(error, open.payloads));
    this.#options.onClose(error);
  }
}

function ended(name: string): TransshipError {
  return new TransshipError('SourceUnreachable', `${name} closed the link`);
}

function broken(what: string): never {
  throw new TransshipError('ProtocolError', `the other end sent ${what}`);
}

/** For the single payload of a control reply. */
export function onlyPayload(reply: Reply): Uint8Array {
  const [payload] = reply.payloads;
  if (payload === undefined || reply.payloads.length !== 1) broken('a reply of several frames');
  return payload;
}

export function decodePing(reply: Reply): number {
  return decodeJson(onlyPayload(reply)).number('wallMs');
}

/** Runs an answer to its end: an operating error becomes an error reply, a bug stops us. */
export async function answering(answer: Answer, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (error instanceof AssertionFailure) throw error;
    answer.fail(asTransshipError(error));
  }
}
