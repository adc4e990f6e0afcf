/** Links over TLS 1.3 with pinned keys: docs/formats/peer.md, section "Link". */
import { constants } from 'node:crypto';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Dialer, DialTarget, Link, LinkEvents, LinkRemote } from '../peer/link.ts';
import { fingerprintOf, type Identity } from './identity.ts';

const protocol = 'transship/1';
const bindingLabel = 'EXPORTER-transship-join';
/** TLS hands over what one record holds; a buffer of four keeps reads of the socket large. */
const readBytes = 64 * 1024;
/** Large enough to keep the kernel busy, small enough that demand does not wait long behind it. */
const sendBufferBytes = 512 * 1024;
const keepAliveMs = 30_000;
const lingerMs = 5000;

/** What both ends of a link use. AES-128 because it is fastest where processors help with it. */
function tlsOptions(identity: Identity) {
  return {
    key: identity.keyPem,
    cert: identity.certificatePem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
    // Every link proves its keys anew.
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const;
}

export function createTlsDialer(identity: Identity): Dialer {
  const secureContext = tls.createSecureContext(tlsOptions(identity));
  return {
    connect: (target) =>
      new Promise((resolve, reject) => {
        const receiver = new Receiver();
        const place = placeOf(target.address);
        const options: tls.ConnectionOptions & SocketOptions = {
          ...place,
          // What stands before several agents on one port chooses by the name, and cannot see more.
          ...(net.isIP(place.host) === 0 ? { servername: place.host } : {}),
          secureContext,
          minVersion: 'TLSv1.3',
          // No authority is asked: the pinned key below is the whole check.
          rejectUnauthorized: false,
          ALPNProtocols: [protocol],
          highWaterMark: sendBufferBytes,
          onread: receiver.onread,
        };
        const socket = tls.connect(options);
        settleOn(socket, 'secureConnect', {
          done: () => resolve(admit(socket, receiver, target)),
          failed: reject,
          address: target.address,
        });
      }),
  };
}

export interface PeerListener {
  readonly port: number;
  /** Takes no more links; those that are up stay. */
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly identity: Identity;
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  /** 0 takes any free one. */
  readonly port: number;
  readonly onLink: (link: Link) => void;
  /** A connection that did not become a link. */
  readonly onRefused?: (error: TransshipError) => void;
}

/** Connections that have not finished their handshake, and all of them. */
const handshakesMax = 64;
const connectionsMax = 4096;

/** `AgentUnreachable` when the address cannot be listened on. */
export function listenForPeers(options: ListenOptions): Promise<PeerListener> {
  const { identity, host, port, onLink, onRefused } = options;
  const secureContext = tls.createSecureContext(tlsOptions(identity));
  let handshakes = 0;
  const server = net.createServer({ noDelay: true }, (raw) => {
    if (handshakes >= handshakesMax) {
      raw.destroy();
      return;
    }
    handshakes++;
    const address = `${raw.remoteAddress}:${raw.remotePort}`;
    const socket = secure(raw, secureContext);
    settleOn(socket, 'secure', {
      done: () => {
        handshakes--;
        onLink(admit(socket, undefined, { address, fingerprint: undefined }));
      },
      failed: (error) => {
        handshakes--;
        onRefused?.(error);
      },
      address,
    });
  });
  server.maxConnections = connectionsMax;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const text = `cannot listen for peers on ${host ?? '*'}:${port}: ${error.message}`;
      reject(new TransshipError('AgentUnreachable', text, { cause: error }));
    });
    server.listen({ host, port }, () => {
      const place = server.address() as net.AddressInfo;
      const close = () => new Promise<void>((done) => server.close(() => done()));
      resolve({ port: place.port, close });
    });
  });
}

function secure(raw: net.Socket, secureContext: tls.SecureContext): tls.TLSSocket {
  raw.on('error', () => {});
  const options: tls.TLSSocketOptions & { readonly highWaterMark: number } = {
    isServer: true,
    secureContext,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: [protocol],
    highWaterMark: sendBufferBytes,
  };
  return new tls.TLSSocket(raw, options);
}

/** Options that TLSSocket hands on to its net.Socket. */
interface SocketOptions {
  readonly highWaterMark: number;
  readonly onread: net.OnReadOpts;
}

interface Settling {
  /** May throw a `TransshipError`: the connection is then closed. */
  readonly done: () => void;
  readonly failed: (error: TransshipError) => void;
  readonly address: string;
}

/** One of `done` and `failed`, in bounded time; the socket is destroyed with the latter. */
function settleOn(socket: tls.TLSSocket, event: string, settling: Settling): void {
  const { address } = settling;
  let isSettled = false;
  const fail = (error: unknown): void => {
    if (isSettled) return;
    isSettled = true;
    clearTimeout(timer);
    socket.destroy();
    const text = error instanceof Error ? error.message : String(error);
    const ours =
      error instanceof TransshipError
        ? error
        : new TransshipError('SourceUnreachable', `${address}: ${text}`, { cause: error });
    settling.failed(ours);
  };
  const timer = setTimeout(
    () => fail(new Error(`no connection within ${limits.peerConnectTimeoutMs / 1000} s`)),
    limits.peerConnectTimeoutMs,
  );
  timer.unref();
  // For good: a socket that is being destroyed may fail once more.
  socket.on('error', fail);
  socket.once('close', () => fail(new Error('the connection was closed during the handshake')));
  socket.once(event, () => {
    if (isSettled) return;
    try {
      settling.done();
      isSettled = true;
      clearTimeout(timer);
    } catch (error) {
      fail(error);
    }
  });
}

/** The link, if the other end is who it must be. `NotTrusted`. */
function admit(
  socket: tls.TLSSocket,
  receiver: Receiver | undefined,
  target: Omit<DialTarget, 'fingerprint'> & { readonly fingerprint: string | undefined },
): Link {
  const { address } = target;
  const refuse = (why: string): never => {
    throw new TransshipError('NotTrusted', `${address} ${why}`);
  };
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return refuse('shows no certificate');
  const fingerprint = fingerprintOf(certificate.publicKey);
  if (socket.getProtocol() !== 'TLSv1.3') refuse('does not speak TLS 1.3');
  if (socket.isSessionReused()) refuse('resumes a session instead of proving its key');
  if (socket.alpnProtocol !== protocol) refuse('is not an agent of Transship');
  if (target.fingerprint !== undefined && fingerprint !== target.fingerprint) {
    const short = (text: string) => text.slice(0, 16);
    refuse(`has the key ${short(fingerprint)}…, not ${short(target.fingerprint)}…`);
  }
  const binding = socket.exportKeyingMaterial(32, bindingLabel, Buffer.alloc(0));
  return new TlsLink(socket, receiver, { address, fingerprint, binding });
}

/**
 * One buffer for all reads of a socket, half again as fast as 'data' events; what comes before the
 * link starts waits in a copy. Node offers it for sockets that dial, not for those it accepts.
 */
class Receiver {
  readonly onread: net.OnReadOpts;
  #early: Uint8Array[] = [];
  #deliver: ((bytes: Uint8Array) => void) | undefined;

  constructor() {
    this.onread = {
      buffer: Buffer.allocUnsafeSlow(readBytes),
      callback: (count, buffer) => this.#take(buffer.subarray(0, count)),
    };
  }

  start(deliver: (bytes: Uint8Array) => void): void {
    const early = this.#early;
    this.#early = [];
    this.#deliver = deliver;
    for (const bytes of early) deliver(bytes);
  }

  #take(bytes: Uint8Array): boolean {
    if (this.#deliver === undefined) {
      this.#early.push(Uint8Array.from(bytes));
      // Reading stops until the link is started.
      return false;
    }
    this.#deliver(bytes);
    return true;
  }
}

class TlsLink implements Link {
  readonly remote: LinkRemote;
  readonly #socket: tls.TLSSocket;
  readonly #receiver: Receiver | undefined;
  #error: TransshipError | undefined;
  #isCorked = false;
  #isEnding = false;

  constructor(socket: tls.TLSSocket, receiver: Receiver | undefined, remote: LinkRemote) {
    this.#socket = socket;
    this.#receiver = receiver;
    this.remote = remote;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveMs);
    socket.on('error', (error) => {
      const text = `${remote.address}: ${error.message}`;
      this.#error ??= new TransshipError('SourceUnreachable', text, { cause: error });
    });
  }

  start(events: LinkEvents): void {
    const socket = this.#socket;
    socket.on('drain', () => events.onDrain());
    let isClosed = false;
    const closed = () => {
      if (isClosed) return;
      isClosed = true;
      events.onClose(this.#error);
    };
    socket.once('close', closed);
    if (socket.destroyed) {
      process.nextTick(closed);
      return;
    }
    const deliver = (bytes: Uint8Array) => {
      if (!isClosed) events.onBytes(bytes);
    };
    if (this.#receiver === undefined) socket.on('data', deliver);
    else this.#receiver.start(deliver);
    socket.resume();
  }

  send(parts: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (this.#isEnding || socket.destroyed) return true;
    if (!this.#isCorked) {
      // All that is sent in one turn becomes one write: TLS in Node costs per write, not per byte.
      this.#isCorked = true;
      socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        socket.uncork();
      });
    }
    for (const part of parts) if (part.length > 0) socket.write(part);
    return !socket.writableNeedDrain;
  }

  close(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#socket.end();
    // The other end may never read what is left.
    setTimeout(() => this.#socket.destroy(), lingerMs).unref();
  }
}

function placeOf(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  return { host, port: Number(address.slice(at + 1)) };
}
