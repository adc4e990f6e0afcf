/**
 * Links inside one process, for tests and the simulator: they deliver later, in pieces, and can be
 * cut at any byte.
 */
import { TransshipError } from '../base/errors.ts';
import type { Link, LinkEvents, LinkRemote } from './link.ts';

export interface MemoryLinkOptions {
  /** The two ends as the other sees them. */
  readonly fingerprints: readonly [string, string];
  /** Calls back later: a clock's `after` in the simulator. Microtasks by default. */
  readonly later?: (run: () => void) => void;
  /** Bytes on the way from which `send` says wait. */
  readonly bufferBytes?: number;
  /** The longest piece that is delivered at once. */
  readonly pieceBytes?: number;
  /** After so many bytes sent by either end the link is cut, in the middle of whatever it is. */
  readonly cutAfterBytes?: number;
}

export interface MemoryLinkPair {
  readonly ends: readonly [Link, Link];
  /** Both ends lose the link; what is on the way is lost. */
  cut(): void;
  readonly sentBytes: number;
}

export function createMemoryLinks(options: MemoryLinkOptions): MemoryLinkPair {
  return new Wire(options);
}

class Wire implements MemoryLinkPair {
  readonly ends: readonly [End, End];
  readonly options: MemoryLinkOptions;
  sentBytes = 0;

  constructor(options: MemoryLinkOptions) {
    this.options = options;
    const [first, second] = options.fingerprints;
    const binding = new Uint8Array(32);
    [first, second].forEach((text, i) => {
      for (let at = 0; at < text.length; at++) {
        binding[(at * 2 + i) % 32] = (binding[(at * 2 + i) % 32]! * 31 + text.charCodeAt(at)) & 255;
      }
    });
    this.ends = [
      new End(this, { address: 'memory:1', fingerprint: second, binding }),
      new End(this, { address: 'memory:0', fingerprint: first, binding }),
    ];
    this.ends[0].other = this.ends[1];
    this.ends[1].other = this.ends[0];
  }

  later(run: () => void): void {
    (this.options.later ?? queueMicrotask)(run);
  }

  cut(): void {
    const error = new TransshipError('SourceUnreachable', 'the link was cut');
    for (const end of this.ends) end.die(error);
  }

  /** How many of these bytes still get through. */
  count(bytes: number): number {
    const left = (this.options.cutAfterBytes ?? Number.POSITIVE_INFINITY) - this.sentBytes;
    this.sentBytes += bytes;
    return Math.min(bytes, Math.max(0, left));
  }
}

class End implements Link {
  readonly remote: LinkRemote;
  readonly #wire: Wire;
  #other: End | undefined;
  #events: LinkEvents | undefined;
  #waiting: (Uint8Array | 'end')[] = [];
  #onWay = 0;
  #isStopped = false;
  #isClosing = false;
  #isDead = false;

  constructor(wire: Wire, remote: LinkRemote) {
    this.#wire = wire;
    this.remote = remote;
  }

  set other(end: End) {
    this.#other = end;
  }

  start(events: LinkEvents): void {
    this.#events = events;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#wire.later(() => {
      for (const item of waiting) this.receive(item);
    });
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (this.#isDead || this.#isClosing) return true;
    const bytes = Buffer.concat(parts);
    const through = this.#wire.count(bytes.length);
    this.#onWay += bytes.length;
    this.#wire.later(() => {
      this.#other?.receive(bytes.subarray(0, through));
      if (through < bytes.length) this.#wire.cut();
      this.#arrived(bytes.length);
    });
    this.#isStopped = this.#onWay > (this.#wire.options.bufferBytes ?? 256 * 1024);
    return !this.#isStopped;
  }

  close(): void {
    if (this.#isDead || this.#isClosing) return;
    this.#isClosing = true;
    this.#wire.later(() => {
      this.#other?.receive('end');
      this.die(undefined);
    });
  }

  die(error: TransshipError | undefined): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#events?.onClose(error);
  }

  #arrived(bytes: number): void {
    this.#onWay -= bytes;
    if (!this.#isStopped || this.#isDead) return;
    if (this.#onWay > (this.#wire.options.bufferBytes ?? 256 * 1024) / 2) return;
    this.#isStopped = false;
    this.#events?.onDrain();
  }

  receive(item: Uint8Array | 'end'): void {
    if (this.#isDead) return;
    if (this.#events === undefined) {
      this.#waiting.push(item);
      return;
    }
    if (item === 'end') {
      this.die(undefined);
      return;
    }
    const pieceBytes = this.#wire.options.pieceBytes ?? 16_384;
    for (let at = 0; at < item.length && !this.#isDead; at += pieceBytes) {
      const piece = item.slice(at, at + pieceBytes);
      this.#events.onBytes(piece);
      // Whoever keeps the piece beyond the call shall notice.
      piece.fill(0xaa);
    }
  }
}
