/**
 * An export that outlives its server: while the server is away, requests wait; when it is back,
 * those without an answer are sent again. For devices of running applications over a restart of
 * the agent. Sending again is harmless: every request says where and what, and clients do not
 * overlap requests whose order matters. What the server answered stays true, because what an
 * agent acknowledged is in the kernel's hands and outlives the agent's process.
 */
import { asTransshipError, TransshipError } from '../base/errors.ts';
import type { BlockDevice, Clock, Extent } from '../base/ports.ts';
import type { Reason } from '../base/reasons.ts';
import { sleep } from '../base/sleep.ts';

/** A connected export, as `NbdClient` is one. */
export interface KeptConnection extends BlockDevice {
  /** True once the connection is gone; errors before that are the server's own. */
  readonly isBroken: boolean;
  disconnect(): void;
}

export interface KeptOptions {
  /** `SourceUnreachable` while the server is away, `NotFound` while it has no such export. */
  readonly connect: () => Promise<KeptConnection>;
  readonly clock: Clock;
  /** How long a request waits for the server; then it fails, and the next one waits anew. */
  readonly waitMs: number;
  readonly onLost?: () => void;
  readonly onBack?: (awayMs: number) => void;
}

const retryMs = 100;
/** A server that has just come back may not serve the export yet: somebody has to lead it first. */
const notYet: ReadonlySet<Reason> = new Set(['SourceUnreachable', 'Stopping', 'NotFound']);

export class KeptDevice implements BlockDevice {
  readonly blockSizeBytes: number;
  readonly readOnly: boolean;
  readonly #options: KeptOptions;
  #connection: KeptConnection;
  /** Requests on their way, of connections that have any. */
  readonly #busy = new Map<KeptConnection, number>();
  #coming: Promise<KeptConnection> | undefined;
  #closed = false;

  private constructor(options: KeptOptions, connection: KeptConnection) {
    this.#options = options;
    this.#connection = connection;
    this.blockSizeBytes = connection.blockSizeBytes;
    this.readOnly = connection.readOnly;
  }

  /** Rejects at once when there is no such export or no server: nothing uses it yet. */
  static async open(options: KeptOptions): Promise<KeptDevice> {
    return new KeptDevice(options, await options.connect());
  }

  /** As the server said when it was last asked; it only grows. */
  get sizeBytes(): number {
    return this.#connection.sizeBytes;
  }

  /**
   * Asks the server how large the export is now, which it says to new connections only. What is on
   * its way over the old one is answered there. Rejects at once while the server is away.
   */
  async refresh(): Promise<void> {
    await this.#connect();
  }

  read(into: Uint8Array, offset: number): Promise<void> {
    return this.#ask(async (connection) => connection.read(into, offset));
  }

  write(from: Uint8Array, offset: number): Promise<void> {
    // Kept until it is answered: the caller's buffer is only good for this call.
    const copy = from.slice();
    return this.#ask(async (connection) => connection.write(copy, offset));
  }

  writeZeroes(offset: number, lengthBytes: number): Promise<void> {
    return this.#ask(async (connection) => connection.writeZeroes(offset, lengthBytes));
  }

  flush(): Promise<void> {
    return this.#ask((connection) => connection.flush());
  }

  prefetch(offset: number, lengthBytes: number): Promise<void> {
    return this.#ask((connection) => connection.prefetch(offset, lengthBytes));
  }

  extents(offset: number, lengthBytes: number): Promise<readonly Extent[]> {
    return this.#ask((connection) => connection.extents(offset, lengthBytes));
  }

  cork(): void {}

  uncork(): void {}

  /** What waits fails with `Stopping`. */
  close(): void {
    this.#closed = true;
    for (const connection of [this.#connection, ...this.#busy.keys()]) connection.disconnect();
  }

  async #ask<T>(work: (connection: KeptConnection) => Promise<T>): Promise<T> {
    for (;;) {
      const connection = this.#connection.isBroken ? await this.#back() : this.#connection;
      this.#busy.set(connection, (this.#busy.get(connection) ?? 0) + 1);
      try {
        return await work(connection);
      } catch (error) {
        if (this.#closed || !connection.isBroken) throw error;
      } finally {
        this.#done(connection);
      }
    }
  }

  #done(connection: KeptConnection): void {
    const left = this.#busy.get(connection)! - 1;
    if (left > 0) {
      this.#busy.set(connection, left);
      return;
    }
    this.#busy.delete(connection);
    if (connection !== this.#connection) connection.disconnect();
  }

  /** The next connection; all that wait share the looking for it. */
  #back(): Promise<KeptConnection> {
    this.#coming ??= this.#look().finally(() => {
      this.#coming = undefined;
    });
    return this.#coming;
  }

  async #look(): Promise<KeptConnection> {
    const { clock, waitMs, onLost, onBack } = this.#options;
    onLost?.();
    const startMs = clock.monotonicMs();
    for (;;) {
      if (this.#closed) throw new TransshipError('Stopping', 'the device is being closed');
      try {
        const found = await this.#connect();
        onBack?.(clock.monotonicMs() - startMs);
        return found;
      } catch (error) {
        const { reason } = asTransshipError(error);
        const isOver = clock.monotonicMs() - startMs >= waitMs;
        if (isOver || !notYet.has(reason)) throw error;
      }
      await sleep(clock, retryMs);
    }
  }

  async #connect(): Promise<KeptConnection> {
    const found = await this.#options.connect();
    if (this.#closed) {
      found.disconnect();
      throw new TransshipError('Stopping', 'the device is being closed');
    }
    if (found.sizeBytes < this.sizeBytes || found.readOnly !== this.readOnly) {
      found.disconnect();
      const now = `${found.sizeBytes} bytes${found.readOnly ? ', read-only' : ''}`;
      const message = `the export is another one now: it has ${now}, not ${this.sizeBytes} bytes`;
      throw new TransshipError('Conflict', message);
    }
    const before = this.#connection;
    this.#connection = found;
    if (!this.#busy.has(before)) before.disconnect();
    return found;
  }
}
