/** Connects to an NBD server: unix socket, or TCP with TLS. */
import net from 'node:net';
import tls from 'node:tls';
import { TransshipError, asTransshipError, fail } from '../base/errors.ts';
import { NbdClient } from '../nbd/client.ts';
import { ClientHandshake } from '../nbd/client-handshake.ts';
import { SocketConnection } from './nbd-socket.ts';
import { type NbdTls } from './nbd-server.ts';

const connectMs = 30_000;

export interface NbdAddress {
  readonly exportName: string;
  readonly socketPath?: string;
  readonly tcp?: { readonly host: string; readonly port: number };
  /** PEM texts; `authority` signs the server's certificate. Required for TCP. */
  readonly tls?: NbdTls & {
    /** The name in the server's certificate when it is not the host's. */
    readonly serverName?: string;
  };
}

/** `nbd+unix:///NAME?socket=PATH`, and `nbds://HOST[:PORT]/NAME`. `BadArgument` for others. */
export function parseNbdUri(uri: string): NbdAddress {
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    fail('BadArgument', `${uri} is not an NBD address`);
  }
  const exportName = decodeURIComponent(url.pathname.replace(/^\//, ''));
  const socketPath = url.searchParams.get('socket');
  if (url.protocol === 'nbd+unix:' && socketPath !== null) return { exportName, socketPath };
  if ((url.protocol === 'nbds:' || url.protocol === 'nbd:') && url.hostname !== '') {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    return { exportName, tcp: { host, port: Number(url.port || 10809) } };
  }
  return fail('BadArgument', `${uri} is neither nbd+unix:///NAME?socket=PATH nor nbds://HOST/NAME`);
}

/** The address that clients on this machine use. */
export function unixNbdUri(exportName: string, socketPath: string): string {
  const socket = encodeURIComponent(socketPath).replaceAll('%2F', '/');
  return `nbd+unix:///${encodeURIComponent(exportName)}?socket=${socket}`;
}

/**
 * The export as a block device; `disconnect` it at the end. `SourceUnreachable` when nobody
 * answers, `NotAllowed` for TCP without TLS, else what the handshake says.
 */
export async function connectNbd(address: NbdAddress): Promise<NbdClient> {
  if (address.socketPath === undefined && address.tls === undefined) {
    fail('NotAllowed', 'NBD on TCP needs TLS with a client certificate');
  }
  const socket =
    address.socketPath === undefined
      ? net.connect({ ...address.tcp!, noDelay: true })
      : net.connect({ path: address.socketPath });
  // Between two phases nobody else listens, and an unheard 'error' would stop the process.
  socket.on('error', () => undefined);
  socket.setTimeout(connectMs, () => {
    socket.destroy(new TransshipError('SourceUnreachable', 'the NBD server did not answer'));
  });
  try {
    const secured = address.tls === undefined ? undefined : await secure(socket, address);
    const client = await negotiate(secured ?? socket, address.exportName, secured !== undefined);
    socket.setTimeout(0);
    return client;
  } catch (error) {
    socket.destroy();
    if (error instanceof TransshipError) throw error;
    throw new TransshipError('SourceUnreachable', asTransshipError(error).message, {
      cause: error,
    });
  }
}

async function secure(socket: net.Socket, address: NbdAddress): Promise<tls.TLSSocket> {
  const connection = new SocketConnection(socket);
  const { exportName } = address;
  const handshake = new ClientHandshake({ connection, exportName, tls: true });
  await handshaken(socket, (bytes) => handshake.receive(bytes)?.kind === 'startTls');
  const material = address.tls!;
  return new Promise((resolve, reject) => {
    const secured = tls.connect({
      socket,
      cert: material.certificate,
      key: material.key,
      ca: material.authority,
      minVersion: 'TLSv1.3',
      host: material.serverName ?? address.tcp?.host ?? 'localhost',
    });
    secured.once('error', reject);
    secured.once('secureConnect', () => {
      secured.off('error', reject);
      resolve(secured);
    });
  });
}

async function negotiate(
  socket: net.Socket,
  exportName: string,
  underTls: boolean,
): Promise<NbdClient> {
  const connection = new SocketConnection(socket);
  const handshake = underTls
    ? ClientHandshake.underTls(connection, exportName)
    : new ClientHandshake({ connection, exportName, tls: false });
  let client: NbdClient | undefined;
  await handshaken(socket, (bytes) => {
    const outcome = handshake.receive(bytes);
    if (outcome?.kind !== 'ready') return false;
    const ready = new NbdClient(connection, outcome.description);
    client = ready;
    // In the same turn, so that no byte can come between.
    socket.on('data', (later: Buffer) => ready.receive(later));
    socket.on('error', (error) => ready.closed(broken(error)));
    socket.on('close', () => ready.closed());
    if (outcome.rest.length > 0) ready.receive(outcome.rest);
    return true;
  });
  return client!;
}

/** Feeds received bytes until `receive` says that the handshake has ended. */
function handshaken(socket: net.Socket, receive: (bytes: Uint8Array) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => end(new TransshipError('SourceUnreachable', 'the NBD server hung up'));
    const onData = (bytes: Buffer) => {
      try {
        if (receive(bytes)) end();
      } catch (error) {
        end(error as Error);
      }
    };
    const end = (error?: Error) => {
      socket.off('data', onData).off('error', end).off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    socket.on('data', onData).on('error', end).on('close', onClose);
  });
}

function broken(error: Error): TransshipError {
  if (error instanceof TransshipError) return error;
  return new TransshipError('SourceUnreachable', `the NBD connection broke: ${error.message}`, {
    cause: error,
  });
}
