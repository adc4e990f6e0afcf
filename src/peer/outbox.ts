/** What waits to be sent on one link: demand before background, bounded, in whole frames. */
import { limits } from '../base/limits.ts';
import { encodeFrameHead, frameHeaderBytes, type FrameHead, type Lane } from './frame.ts';
import type { Link } from './link.ts';

export interface Outbox {
  push(head: FrameHead, payload: readonly Uint8Array[]): void;
  /** Resolves when the lane has room again; those who read from disks wait here. */
  room(lane: Lane): Promise<void>;
  /** The link drained. */
  drained(): void;
  /** Lets everybody go who waits; nothing is sent any more. */
  end(): void;
  readonly waitingBytes: number;
}

export function createOutbox(link: Link): Outbox {
  return new LaneQueues(link);
}

interface Entry {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
}

class LaneQueues implements Outbox {
  readonly #link: Link;
  readonly #queues: Readonly<Record<Lane, Entry[]>> = { demand: [], background: [] };
  readonly #bytes: Record<Lane, number> = { demand: 0, background: 0 };
  #waiters: { readonly lane: Lane; readonly go: () => void }[] = [];
  #open = true;
  #flowing = true;

  constructor(link: Link) {
    this.#link = link;
  }

  get waitingBytes(): number {
    return this.#bytes.demand + this.#bytes.background;
  }

  push(head: FrameHead, payload: readonly Uint8Array[]): void {
    if (!this.#open) return;
    const payloadBytes = payload.reduce((sum, part) => sum + part.length, 0);
    const parts = [encodeFrameHead(head, payloadBytes), ...payload];
    const bytes = frameHeaderBytes + payloadBytes;
    this.#queues[head.lane].push({ parts, bytes });
    this.#bytes[head.lane] += bytes;
    this.#pump();
  }

  room(lane: Lane): Promise<void> {
    if (!this.#open || this.#hasRoom(lane)) return Promise.resolve();
    return new Promise((go) => {
      this.#waiters.push({ lane, go });
    });
  }

  drained(): void {
    this.#flowing = true;
    this.#pump();
  }

  end(): void {
    this.#open = false;
    this.#queues.demand.length = 0;
    this.#queues.background.length = 0;
    this.#wake();
  }

  #hasRoom(lane: Lane): boolean {
    return this.#bytes[lane] < limits.peerSendBytes;
  }

  #pump(): void {
    while (this.#flowing && this.#open) {
      const lane = this.#queues.demand.length > 0 ? 'demand' : 'background';
      const entry = this.#queues[lane].shift();
      if (entry === undefined) break;
      this.#bytes[lane] -= entry.bytes;
      this.#flowing = this.#link.send(entry.parts);
    }
    this.#wake();
  }

  #wake(): void {
    const waiters = this.#waiters;
    if (waiters.length === 0) return;
    const stay = (lane: Lane) => this.#open && !this.#hasRoom(lane);
    this.#waiters = waiters.filter(({ lane }) => stay(lane));
    for (const { lane, go } of waiters) if (!stay(lane)) go();
  }
}
