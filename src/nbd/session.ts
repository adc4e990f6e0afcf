/** One client of the server: negotiation, then transmission. Bytes in, device calls, bytes out. */
import { type Connection } from './connection.ts';
import { type NbdCounters } from './counters.ts';
import { Handshake, type Agreement, type NbdExports, type TlsMode } from './handshake.ts';
import { type ReplyChunkPool } from './reply-chunks.ts';
import { Transmission } from './transmission.ts';

export interface SessionOptions {
  readonly connection: Connection;
  readonly exports: NbdExports;
  readonly tls: TlsMode;
  readonly pool: ReplyChunkPool;
  readonly counters: NbdCounters;
  /** The client may start TLS now; what it sends under it goes to a new session (`active`). */
  readonly onStartTls?: (clientFlags: number) => void;
  /** With `active`: what `onStartTls` was given. */
  readonly clientFlags?: number;
  readonly onTransmission?: (agreement: Agreement) => void;
  /** The session is over: the door is released and the device has nothing of it any more. */
  readonly onEnd?: () => void;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #handshake: Handshake;
  #transmission: Transmission | undefined;
  #over = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#handshake = new Handshake(options);
    this.#handshake.start();
  }

  get transmitting(): boolean {
    return this.#transmission !== undefined;
  }

  /**
   * Takes received bytes, keeps no reference to them, and returns how many were taken. All of them,
   * unless the transport offers to give requests of up to `redeliverBytes` again when they are
   * whole, which saves copying them.
   */
  receive(bytes: Uint8Array, redeliverBytes = 0): number {
    if (this.#over) return bytes.length;
    if (this.#transmission !== undefined) {
      return this.#transmission.receive(bytes, redeliverBytes);
    }
    const outcome = this.#handshake.receive(bytes);
    if (outcome?.kind === 'startTls') {
      this.#over = true;
      this.#options.onStartTls?.(outcome.clientFlags);
    } else if (outcome?.kind === 'close') {
      this.#end(undefined);
    } else if (outcome?.kind === 'transmit') {
      this.#transmit(outcome.agreement, outcome.rest);
    }
    return bytes.length;
  }

  /** Ends cleanly: requests in flight are answered, new ones are not taken. */
  stop(): void {
    if (this.#transmission !== undefined) this.#transmission.stop();
    else this.#end(undefined);
  }

  /** The transport is gone. */
  closed(): void {
    if (this.#transmission !== undefined) this.#transmission.closed();
    else this.#end(undefined);
  }

  #transmit(agreement: Agreement, rest: Uint8Array): void {
    const { connection, pool, counters } = this.#options;
    const onEnd = () => this.#end(agreement);
    this.#transmission = new Transmission({ connection, agreement, pool, counters, onEnd });
    this.#options.onTransmission?.(agreement);
    if (rest.length > 0) this.#transmission.receive(rest);
  }

  #end(agreement: Agreement | undefined): void {
    if (this.#over) return;
    this.#over = true;
    agreement?.release();
    if (agreement === undefined) this.#options.connection.close();
    this.#options.onEnd?.();
  }
}
