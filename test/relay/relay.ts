/**
 * A TCP relay that delays what it passes on, each way, and may limit the rate: a long link for
 * tests and benchmarks where the kernel has no netem. Connections share the rate evenly, as queues
 * of real links do. It can be cut and restored.
 */
import * as net from 'node:net';

export interface RelayOptions {
  readonly host: string;
  readonly port: number;
  /** One way; a round trip takes twice that. */
  readonly delayMs: number;
  /** Each way; no limit when absent. */
  readonly bytesPerSecond?: number;
}

export interface Relay {
  readonly port: number;
  /** Passed on so far, both ways. */
  bytes(): number;
  /** Ends all connections and refuses new ones until `restore`. */
  cut(): void;
  /** Called after every piece that was passed on, before the next one is. */
  onPassed(listener: () => void): void;
  restore(): void;
  close(): Promise<void>;
}

/** What one direction of one connection may hold; beyond it the sender waits. */
const heldBytesMax = 64 * 1024 * 1024;
const pieceBytes = 16 * 1024;
const turnMs = 2;

interface Held {
  readonly dueMs: number;
  readonly bytes: Uint8Array;
}

export async function startRelay(options: RelayOptions): Promise<Relay> {
  const pairs = new Set<readonly [net.Socket, net.Socket]>();
  const total: Total = { bytes: 0, onPassed: () => undefined };
  const rate = { up: new Share(options.bytesPerSecond), down: new Share(options.bytesPerSecond) };
  let isCut = false;
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    const { host, port } = options;
    const far = net.connect({ host, port, noDelay: true, allowHalfOpen: true });
    const pair = [near, far] as const;
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    pass({ from: near, to: far, share: rate.up, delayMs: options.delayMs, total });
    pass({ from: far, to: near, share: rate.down, delayMs: options.delayMs, total });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  const cut = () => {
    isCut = true;
    for (const sockets of pairs) for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as net.AddressInfo).port,
    bytes: () => total.bytes,
    cut,
    onPassed: (listener) => {
      total.onPassed = listener;
    },
    restore: () => {
      isCut = false;
    },
    close: () => {
      cut();
      return new Promise((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

interface Total {
  bytes: number;
  onPassed: () => void;
}

interface Direction {
  readonly from: net.Socket;
  readonly to: net.Socket;
  readonly share: Share;
  readonly delayMs: number;
  readonly total: Total;
}

function pass({ from, to, share, delayMs, total }: Direction): void {
  const held: Held[] = [];
  let heldBytes = 0;
  let isEnded = false;
  let timer: NodeJS.Timeout | undefined;
  const later = (ms: number) => {
    timer ??= setTimeout(() => {
      timer = undefined;
      send();
    }, ms);
  };
  const send = () => {
    const nowMs = performance.now();
    for (let first = held[0]; first !== undefined; first = held[0]) {
      // A timer may fire a little early.
      if (first.dueMs > nowMs + 0.5) return later(first.dueMs - nowMs);
      if (!share.take(from, first.bytes.length)) return later(turnMs);
      held.shift();
      heldBytes -= first.bytes.length;
      total.bytes += first.bytes.length;
      if (!to.destroyed) to.write(first.bytes);
      total.onPassed();
    }
    share.leave(from);
    if (isEnded) to.end();
    if (heldBytes < heldBytesMax / 2 && from.isPaused()) from.resume();
  };
  from.on('data', (bytes: Buffer) => {
    const dueMs = performance.now() + delayMs;
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      held.push({ dueMs, bytes: bytes.subarray(at, at + pieceBytes) });
    }
    heldBytes += bytes.length;
    if (heldBytes > heldBytesMax) from.pause();
    if (held.length > 0) later(delayMs);
  });
  from.on('end', () => {
    isEnded = true;
    later(delayMs);
  });
  from.on('close', () => {
    clearTimeout(timer);
    share.leave(from);
  });
}

/** A rate that those who have something to send share evenly. */
class Share {
  readonly #bytesPerSecond: number | undefined;
  readonly #credits = new Map<net.Socket, { bytes: number; atMs: number }>();

  constructor(bytesPerSecond: number | undefined) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  take(who: net.Socket, bytes: number): boolean {
    if (this.#bytesPerSecond === undefined) return true;
    const nowMs = performance.now();
    const credit = this.#credits.get(who) ?? { bytes: pieceBytes, atMs: nowMs };
    this.#credits.set(who, credit);
    const rate = this.#bytesPerSecond / this.#credits.size;
    const most = Math.max(pieceBytes, rate / 100);
    credit.bytes = Math.min(most, credit.bytes + (rate * (nowMs - credit.atMs)) / 1000);
    credit.atMs = nowMs;
    if (credit.bytes < Math.min(bytes, most)) return false;
    credit.bytes -= bytes;
    return true;
  }

  leave(who: net.Socket): void {
    this.#credits.delete(who);
  }
}
