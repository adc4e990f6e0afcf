/** Sockets as the `Connection` of an NBD session, with one reused receive buffer each. */
import net from 'node:net';
import { type TLSSocket } from 'node:tls';
import { fail } from '../base/errors.ts';
import { type Connection } from '../nbd/connection.ts';

/** A socket's read fills at most this; measured 3.6 times the speed of 'data' events on writes. */
const readBytes = 256 * 1024;
/** Room for requests of up to `redeliverBytes` to become whole where they lie. */
const bufferBytes = 1024 * 1024;
/** Longer ones are collected by the session. */
export const redeliverBytes = bufferBytes - readBytes;

/** What Node keeps in a socket that it accepted. */
interface AcceptedSocket {
  _handle?: unknown;
}

export class SocketConnection implements Connection {
  readonly #socket: net.Socket;

  constructor(socket: net.Socket) {
    this.#socket = socket;
  }

  write(parts: readonly Uint8Array[], flushed?: () => void): void {
    const socket = this.#socket;
    if (!socket.writable) {
      if (flushed !== undefined) queueMicrotask(flushed);
      return;
    }
    const last = parts.length - 1;
    if (last === 0) {
      socket.write(parts[0]!, flushed);
      return;
    }
    socket.cork();
    for (let index = 0; index <= last; index += 1) {
      socket.write(parts[index]!, index === last ? flushed : undefined);
    }
    socket.uncork();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    if (!this.#socket.destroyed) this.#socket.destroySoon();
  }
}

/**
 * Takes received bytes, to be used only during the call; returns how many it took. The others come
 * again, at the front, when there are more.
 */
export type Receiver = (bytes: Uint8Array) => number;

/**
 * One buffer that everything is received in. What was not taken stays where it is, and the next
 * read goes behind it; it is moved to the front only when there is no room left.
 */
class ReceiveBuffer {
  readonly #bytes = Buffer.allocUnsafeSlow(bufferBytes);
  readonly #receive: Receiver;
  #start = 0;
  #end = 0;

  constructor(receive: Receiver) {
    this.#receive = receive;
  }

  /** Where the next read goes. */
  readonly space = (): Buffer => {
    if (this.#end + readBytes > bufferBytes) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.#bytes.subarray(this.#end, this.#end + readBytes);
  };

  readonly filled = (count: number): boolean => {
    this.#end += count;
    this.#start += this.#receive(this.#bytes.subarray(this.#start, this.#end));
    // From the front again: what was just used is in the CPU's cache.
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    }
    return true;
  };
}

/**
 * The accepted (paused) socket again, reading into a `ReceiveBuffer`. Node offers that at
 * connecting (`onread`) but not at accepting, so the accepted socket's handle moves to a new one.
 */
export function withReceiveBuffer(accepted: net.Socket, receive: Receiver): net.Socket {
  const holder = accepted as unknown as AcceptedSocket;
  const handle = holder._handle;
  if (handle === undefined || handle === null) {
    fail('Internal', 'an accepted socket has no handle: this Node.js is not supported');
  }
  const buffer = new ReceiveBuffer(receive);
  const onread = { buffer: buffer.space, callback: buffer.filled };
  // The declared options know `onread` only for connecting; the constructor takes it (Node 24).
  const options = { handle, allowHalfOpen: true, onread } as unknown;
  const socket = new net.Socket(options as net.SocketConstructorOpts);
  holder._handle = null;
  // The server counts the accepted socket until that is destroyed.
  socket.once('close', () => accepted.destroy());
  socket.resume();
  return socket;
}

export function withDataEvents<S extends net.Socket | TLSSocket>(
  socket: S,
  receive: (bytes: Uint8Array) => void,
): S {
  socket.on('data', receive);
  socket.resume();
  return socket;
}
