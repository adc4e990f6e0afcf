/** Listens for NBD clients: on a unix socket, and on TCP with TLS and client certificates. */
import fs from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { asTransshipError, fail } from '../base/errors.ts';
import { type BlockDevice, type Log, type Metrics } from '../base/ports.ts';
import { type NbdCounters, newCounters } from '../nbd/counters.ts';
import { type NbdExports } from '../nbd/handshake.ts';
import { commandNames, nbdLimits } from '../nbd/protocol.ts';
import { ReplyChunkPool } from '../nbd/reply-chunks.ts';
import { Session } from '../nbd/session.ts';
import {
  SocketConnection,
  redeliverBytes,
  withDataEvents,
  withReceiveBuffer,
} from './nbd-socket.ts';
import type { ListenPlace } from './settings.ts';
import { listenPrivately } from './unix-socket.ts';

/** Sockets with their buffers; more clients than this are a fault somewhere. */
const connectionsMax = 512;
/** From accepting to transmission, TLS included; long enough for a person at `nbdsh`. */
const handshakeMs = 60_000;
/** How long clients may take to receive their last replies when the server closes. */
const closeMs = 5_000;
const reportMs = 1_000;

/** PEM texts. `authority` signs the clients' certificates: whoever it signed may connect. */
export interface NbdTls {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

export interface NbdServerOptions {
  readonly socketPath?: string;
  /** Without `tls` the server refuses to listen on TCP. Port 0 picks one (`tcpPort`). */
  readonly tcp?: ListenPlace & { readonly tls?: NbdTls };
  readonly exports: {
    find(name: string): BlockDevice | undefined;
    list(): readonly string[];
  };
  /** Called when a client starts to use an export; the result when it has ended. May refuse. */
  readonly onOpen?: (exportName: string) => () => void;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface NbdServer {
  readonly tcpPort: number | undefined;
  connections(): number;
  /** Takes no more requests, answers those in flight, removes the socket. */
  close(): Promise<void>;
}

/** `InUse` when another process serves the socket; `NotAllowed` for TCP without TLS. */
export async function createNbdServer(options: NbdServerOptions): Promise<NbdServer> {
  const { socketPath, tcp } = options;
  if (tcp !== undefined && tcp.tls === undefined) {
    fail('NotAllowed', 'NBD on TCP needs TLS with client certificates');
  }
  const clients = new Clients(options);
  const servers: net.Server[] = [];
  let tcpPort: number | undefined;
  try {
    if (socketPath !== undefined) {
      const server = net.createServer({ pauseOnConnect: true }, (socket) => clients.plain(socket));
      servers.push(server);
      await listenPrivately(server, socketPath);
    }
    if (tcp?.tls !== undefined) {
      const secure = clients.secureServer(tcp.tls);
      const server = net.createServer({ noDelay: true }, (socket) => clients.tcp(socket, secure));
      servers.push(server);
      tcpPort = await listenTcp(server, tcp);
    }
  } catch (error) {
    for (const server of servers) server.close();
    await clients.close();
    throw error;
  }
  for (const server of servers) server.maxConnections = connectionsMax;
  return {
    tcpPort,
    connections: () => clients.count,
    async close() {
      // Closing a server also removes its socket file.
      const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
      await clients.close();
      await Promise.all(closed);
      if (socketPath !== undefined) fs.rmSync(socketPath, { force: true });
    },
  };
}

function listenTcp(server: net.Server, { host, port }: ListenPlace): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(asTransshipError(error)));
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : port);
    });
  });
}

interface Client {
  readonly session: Session;
  readonly socket: net.Socket;
}

class Clients {
  readonly #options: NbdServerOptions;
  readonly #exports: NbdExports;
  readonly #open = new Map<net.Socket, Client>();
  readonly #pool = new ReplyChunkPool({
    chunkBytes: nbdLimits.replyChunkBytes,
    kept: nbdLimits.replyChunksKept,
  });
  readonly #counters = newCounters();
  #reported = newCounters();
  readonly #reporter: NodeJS.Timeout;
  /** Sockets between STARTTLS and the end of the TLS handshake, by their remote address. */
  readonly #upgrading = new Map<string, { clientFlags: number; socket: net.Socket }>();
  #closing = false;

  constructor(options: NbdServerOptions) {
    this.#options = options;
    const { exports, onOpen } = options;
    this.#exports = {
      find: (name) => exports.find(name),
      list: () => exports.list(),
      open: (name) => onOpen?.(name) ?? (() => undefined),
    };
    this.#reporter = setInterval(() => this.#report(), reportMs);
    this.#reporter.unref();
  }

  get count(): number {
    return this.#open.size;
  }

  plain(accepted: net.Socket): void {
    const socket = withReceiveBuffer(accepted, (bytes) =>
      client.session.receive(bytes, redeliverBytes),
    );
    const session = this.#session(socket, { tls: 'refused' });
    const client = this.#add(socket, session);
  }

  tcp(socket: net.Socket, secure: tls.Server): void {
    socket.allowHalfOpen = true;
    const receive = (bytes: Uint8Array) => void client.session.receive(bytes);
    const session = this.#session(socket, {
      tls: 'required',
      onStartTls: (clientFlags) => {
        socket.off('data', receive);
        this.#open.delete(socket);
        socket.removeAllListeners('end');
        const address = addressOf(socket);
        this.#upgrading.set(address, { clientFlags, socket });
        // A client that hangs up during the handshake must not leave half a connection.
        socket.allowHalfOpen = false;
        socket.once('close', () => this.#upgrading.delete(address));
        secure.emit('connection', socket);
      },
    });
    const client = this.#add(withDataEvents(socket, receive), session);
  }

  /** Does no listening: it is given sockets that asked for TLS. */
  secureServer(material: NbdTls): tls.Server {
    const server = tls.createServer({
      cert: material.certificate,
      key: material.key,
      ca: material.authority,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: handshakeMs,
    });
    server.on('secureConnection', (socket) => {
      const clientFlags = this.#upgrading.get(addressOf(socket))?.clientFlags;
      this.#upgrading.delete(addressOf(socket));
      if (clientFlags === undefined || this.#closing) socket.destroy();
      else this.#secured(socket, clientFlags);
    });
    server.on('tlsClientError', (error, socket) => {
      this.#options.log.log('warn', 'NBD client failed TLS', { error: error.message });
      socket.destroy();
    });
    return server;
  }

  #secured(socket: tls.TLSSocket, clientFlags: number): void {
    const receive = (bytes: Uint8Array) => void client.session.receive(bytes);
    const session = this.#session(socket, { tls: 'active', clientFlags });
    const client = this.#add(withDataEvents(socket, receive), session);
  }

  #session(
    socket: net.Socket,
    options: Pick<ConstructorParameters<typeof Session>[0], 'tls' | 'clientFlags' | 'onStartTls'>,
  ): Session {
    const { log } = this.#options;
    return new Session({
      ...options,
      connection: new SocketConnection(socket),
      exports: this.#exports,
      pool: this.#pool,
      counters: this.#counters,
      onTransmission: ({ exportName }) => log.log('debug', 'NBD client came', { exportName }),
    });
  }

  #add(socket: net.Socket, session: Session): Client {
    const client = { session, socket };
    this.#open.set(socket, client);
    const timer = setTimeout(() => {
      if (!session.transmitting) socket.destroy();
    }, handshakeMs);
    timer.unref();
    // A client that only closed its sending side still gets the replies it waits for.
    socket.on('end', () => session.stop());
    socket.on('error', (error) => {
      this.#options.log.log('debug', 'NBD connection broke', { error: error.message });
    });
    socket.once('close', () => {
      clearTimeout(timer);
      this.#open.delete(socket);
      session.closed();
    });
    return client;
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const { socket } of this.#upgrading.values()) socket.destroy();
    const gone = [...this.#open.values()].map(({ session, socket }) => {
      const closed = new Promise<void>((resolve) => {
        if (socket.destroyed) resolve();
        else socket.once('close', () => resolve());
      });
      session.stop();
      return closed;
    });
    const timer = setTimeout(() => {
      for (const { socket } of this.#open.values()) socket.destroy();
    }, closeMs);
    await Promise.all(gone);
    clearTimeout(timer);
    clearInterval(this.#reporter);
    this.#report();
  }

  /** Numbers change at every request; the metrics hear of them once a second. */
  #report(): void {
    const { metrics } = this.#options;
    metrics.set('transship_nbd_connections', this.#open.size);
    const now = copyOf(this.#counters);
    const before = this.#reported;
    this.#reported = now;
    const names = [...commandNames, 'unknown'];
    for (const [index, command] of names.entries()) {
      const requests = (now.requests[index] ?? 0) - (before.requests[index] ?? 0);
      const errors = (now.errors[index] ?? 0) - (before.errors[index] ?? 0);
      if (requests > 0) metrics.add('transship_nbd_requests_total', requests, { command });
      if (errors > 0) metrics.add('transship_nbd_errors_total', errors, { command });
    }
  }
}

function copyOf(counters: NbdCounters): NbdCounters {
  return { ...counters, requests: [...counters.requests], errors: [...counters.errors] };
}

function addressOf(socket: net.Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}
