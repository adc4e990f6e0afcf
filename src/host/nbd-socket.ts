/** Sockets as the `Connection` of an NBD session, with one reused receive buffer each. */
import net from 'node:net';
import { type TLSSocket } from 'node:tls';
import { type Connection } from '../nbd/connection.ts';

/** Measured: 256 KiB into a reused buffer is 3.6 times the speed of 'data' events on writes. */
const receiveBytes = 256 * 1024;

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
 * The accepted (paused) socket again, reading into one buffer that `receive` gets a part of and
 * may use only during the call. Node offers that at connecting (`onread`) but not at accepting, so
 * the accepted socket's handle moves to a new socket.
 */
export function withReceiveBuffer(
  accepted: net.Socket,
  receive: (bytes: Uint8Array) => void,
): net.Socket {
  const holder = accepted as unknown as AcceptedSocket;
  const handle = holder._handle;
  if (handle === undefined || handle === null) return withDataEvents(accepted, receive);
  const buffer = Buffer.allocUnsafeSlow(receiveBytes);
  const options = {
    handle,
    allowHalfOpen: true,
    onread: {
      buffer,
      callback: (count: number): boolean => {
        receive(buffer.subarray(0, count));
        return true;
      },
    },
  };
  // The declared options know `onread` only for connecting; the constructor takes it (Node 24).
  const socket = new net.Socket(options as unknown as net.SocketConstructorOpts);
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
