/** The block mover's link: TLS 1.3, both ends with certificates of one authority. */
import { readFileSync } from 'node:fs';
import type * as net from 'node:net';
import { constants } from 'node:crypto';
import * as tls from 'node:tls';
import { fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { BlockLink } from '../files/block-ports.ts';

const protocol = 'transship-block/1';
const bufferBytes = 512 * 1024;
const keepAliveMs = 30_000;
const lingerMs = 5000;

/** Paths of PEM files. The authority signs both ends and nobody else. */
export interface CertificateFiles {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

export interface BlockTarget {
  readonly host: string;
  readonly port: number;
  /** Must be in the receiver's certificate; without it, the authority's word is enough. */
  readonly serverName?: string;
}

function secrets(files: CertificateFiles) {
  const read = (path: string) => {
    try {
      return readFileSync(path);
    } catch (error) {
      fail('NotFound', `cannot read ${path}`, error);
    }
  };
  return {
    ca: read(files.authority),
    cert: read(files.certificate),
    key: read(files.key),
    minVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
    ALPNProtocols: [protocol],
    highWaterMark: bufferBytes,
    rejectUnauthorized: true,
  } as const;
}

/** `SourceUnreachable`, `NotFound` (a file), `NotTrusted` (the other end's certificate). */
export function dialBlocks(target: BlockTarget, files: CertificateFiles): Promise<BlockLink> {
  const { host, port, serverName } = target;
  const options: tls.ConnectionOptions = {
    ...secrets(files),
    host,
    port,
    ...(serverName === undefined
      ? { checkServerIdentity: () => undefined }
      : { servername: serverName }),
  };
  return new Promise((resolve, reject) => {
    const socket = tls.connect(options);
    const failed = (error: Error) => {
      socket.destroy();
      const isTrust = 'code' in error && /CERT|ISSUER|SIGNATURE|ALTNAME/.test(String(error.code));
      const reason = isTrust ? 'NotTrusted' : 'SourceUnreachable';
      const text = `${host}:${port}: ${error.message}`;
      reject(new TransshipError(reason, text, { cause: error }));
    };
    const late = () => failed(new Error('no connection in time'));
    socket.setTimeout(limits.peerConnectTimeoutMs, late);
    socket.once('error', failed);
    socket.once('secureConnect', () => {
      socket.off('error', failed);
      socket.off('timeout', late);
      socket.setTimeout(0);
      if (socket.alpnProtocol !== protocol) failed(new Error('is not a block receiver'));
      else resolve(new TlsBlockLink(socket));
    });
  });
}

export interface BlockListener {
  readonly port: number;
  close(): void;
}

export interface BlockListenOptions {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly files: CertificateFiles;
  readonly onLink: (link: BlockLink) => void;
  readonly onRefused: (error: TransshipError) => void;
}

/** `SourceUnreachable` when the address cannot be listened on. */
export function listenForBlocks(options: BlockListenOptions): Promise<BlockListener> {
  const { host, port, files, onLink, onRefused } = options;
  const server = tls.createServer({
    ...secrets(files),
    requestCert: true,
    handshakeTimeout: limits.peerConnectTimeoutMs,
  });
  server.maxConnections = 16;
  server.on('secureConnection', (socket) => {
    if (socket.alpnProtocol === protocol) onLink(new TlsBlockLink(socket));
    else socket.destroy();
  });
  server.on('tlsClientError', (error, socket) => {
    // It has failed once; whatever comes after that is no news.
    socket.on('error', () => undefined);
    socket.destroy();
    onRefused(new TransshipError('NotTrusted', `a connection was refused: ${error.message}`));
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const text = `cannot listen on ${host}:${port}: ${error.message}`;
      reject(new TransshipError('SourceUnreachable', text, { cause: error }));
    });
    server.listen({ host, port }, () => {
      const place = server.address() as net.AddressInfo;
      resolve({ port: place.port, close: () => server.close() });
    });
  });
}

class TlsBlockLink implements BlockLink {
  readonly #socket: tls.TLSSocket;
  #error: TransshipError | undefined;
  #isEnded = false;
  #isClosed = false;
  #arrived: Buffer[] = [];
  #arrivedBytes = 0;
  #waiting: (() => void)[] = [];

  constructor(socket: tls.TLSSocket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveMs);
    const wake = () => this.#wake();
    socket.on('data', (bytes: Buffer) => this.#put(bytes)).on('drain', wake);
    socket.on('end', () => {
      this.#isEnded = true;
      wake();
    });
    socket.on('error', (error) => this.#lose(error.message));
    socket.on('close', () => this.#lose('the connection was lost'));
  }

  async receive(): Promise<Uint8Array | undefined> {
    for (;;) {
      // What arrived before the end, or before an error, is still true.
      const bytes = this.#arrived.shift();
      if (bytes !== undefined) return this.#taken(bytes);
      if (this.#isEnded) return undefined;
      if (this.#error !== undefined) throw this.#error;
      await this.#changed();
    }
  }

  async send(parts: readonly Uint8Array[], onGone?: () => void): Promise<void> {
    const socket = this.#socket;
    if (this.#isLost()) throw this.#error!;
    // As one write: TLS in Node costs per write, not per byte.
    if (parts.length > 1) socket.cork();
    const last = parts.at(-1);
    for (const part of parts) {
      if (part !== last && part.length > 0) socket.write(part);
    }
    if (last !== undefined) {
      socket.write(last, (error) => {
        if (!(error instanceof Error)) onGone?.();
      });
    }
    if (parts.length > 1) process.nextTick(() => socket.uncork());
    while (socket.writableNeedDrain && !this.#isLost()) await this.#changed();
    if (this.#isLost()) throw this.#error!;
  }

  close(): void {
    if (this.#error !== undefined) return;
    this.#lose('the link is closed');
    this.#isClosed = true;
    this.#socket.end();
    // Nobody reads any more; what still comes must not keep the end from being seen.
    this.#socket.resume();
    // The other end may never read what is left.
    setTimeout(() => this.#socket.destroy(), lingerMs).unref();
  }

  #put(bytes: Buffer): void {
    if (this.#isClosed) return;
    this.#arrived.push(bytes);
    this.#arrivedBytes += bytes.length;
    if (this.#arrivedBytes >= bufferBytes) this.#socket.pause();
    this.#wake();
  }

  #taken(bytes: Buffer): Buffer {
    this.#arrivedBytes -= bytes.length;
    if (this.#arrivedBytes < bufferBytes / 2 && this.#socket.isPaused()) this.#socket.resume();
    return bytes;
  }

  #isLost(): boolean {
    return this.#error !== undefined;
  }

  #lose(message: string): void {
    this.#error ??= new TransshipError('SourceUnreachable', message);
    this.#wake();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
