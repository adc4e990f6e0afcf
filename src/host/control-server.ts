/** HTTP for the control API on a unix socket or with TLS, and for Prometheus on loopback. */
import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import { requestTextMax } from '../api/wire.ts';
import type { Exchange } from '../agent/control.ts';
import { fail, TransshipError } from '../base/errors.ts';
import type { ControlTls } from './control-tls.ts';
import type { ListenPlace } from './settings.ts';
import { listenPrivately } from './unix-socket.ts';

export interface HttpServer {
  readonly port: number | undefined;
  close(): Promise<void>;
}

/** A client that sends no request for this long is cut off. */
const headersMs = 10_000;
/** How long open streams may take to receive their last line when the server closes. */
const closeMs = 2_000;

type Serve = (exchange: Exchange) => Promise<void>;

/** Listens at `socketPath`, mode 0600. `InUse` when another agent does. */
export async function serveControlSocket(socketPath: string, serve: Serve): Promise<HttpServer> {
  const server = createServer(serve);
  await listenPrivately(server, socketPath);
  return { port: undefined, close: () => closeServer(server) };
}

export interface ControlPlace extends ListenPlace {
  readonly tls: ControlTls;
  /** The certificates as they are now: they are renewed under an agent that runs. */
  readonly reread?: () => ControlTls;
}

const rereadMs = 3600 * 1000;

function materialOf({ authority, certificate, key }: ControlTls) {
  return { ca: authority, cert: certificate, key };
}

/**
 * Listens for clients with a certificate of the same authority: controllers on other nodes.
 * Whoever has one may do with the agent's volumes what its owner may.
 */
export async function serveControlTls(place: ControlPlace, serve: Serve): Promise<HttpServer> {
  const { tls, reread } = place;
  const options = {
    ...materialOf(tls),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
  } as const;
  const server = https.createServer(options, (request, response) => {
    void receive(request, response, serve);
  });
  limit(server);
  const renew = () => {
    try {
      if (reread !== undefined) server.setSecureContext({ ...options, ...materialOf(reread()) });
    } catch {
      // Half written, perhaps: what is used is good for months, and the next look is soon.
    }
  };
  const renewing = setInterval(renew, rereadMs);
  renewing.unref();
  server.once('close', () => clearInterval(renewing));
  return { port: await listenAt(server, place), close: () => closeServer(server) };
}

function listenAt(server: http.Server | https.Server, { host, port }: ListenPlace) {
  return new Promise<number>((resolve, reject) => {
    server.once('error', (error) => {
      const code = (error as NodeJS.ErrnoException).code;
      const reason = code === 'EADDRINUSE' ? 'InUse' : 'BadArgument';
      const at = `${host ?? '*'}:${port}`;
      reject(new TransshipError(reason, `cannot listen at ${at}: ${error.message}`));
    });
    server.listen({ host, port }, () => resolve((server.address() as AddressInfo).port));
  });
}

/** Listens on 127.0.0.1 for `GET /metrics`; tries `port` and takes any other when it is taken. */
export async function serveMetrics(port: number, text: () => Promise<string>): Promise<HttpServer> {
  const server = metricsServer(text);
  const chosen = await listenLoopback(server, port).catch((error: unknown) => {
    if (port === 0) fail('Internal', `cannot listen for metrics: ${String(error)}`, error);
    return listenLoopback(server, 0);
  });
  return { port: chosen, close: () => closeServer(server) };
}

/**
 * The same at an address that others reach: anybody there may read them, and nothing else. `InUse`
 * or `BadArgument` when it cannot.
 */
export async function serveMetricsTo(
  place: ListenPlace,
  text: () => Promise<string>,
): Promise<HttpServer> {
  const server = metricsServer(text);
  return { port: await listenAt(server, place), close: () => closeServer(server) };
}

function metricsServer(text: () => Promise<string>): http.Server {
  return createServer(async (exchange) => {
    const found = exchange.method === 'GET' && exchange.path === '/metrics';
    exchange.begin(found ? 200 : 404, 'text/plain; version=0.0.4; charset=utf-8');
    exchange.send(found ? await text() : 'only GET /metrics is here\n');
    exchange.end();
  });
}

function createServer(serve: Serve): http.Server {
  const server = http.createServer((request, response) => void receive(request, response, serve));
  limit(server);
  return server;
}

function limit(server: http.Server | https.Server): void {
  server.headersTimeout = headersMs;
  // Streams live as long as somebody watches.
  server.requestTimeout = 0;
  server.maxConnections = 256;
}

function listenLoopback(server: http.Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port }, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

async function receive(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  serve: Serve,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const body = await readBody(request).catch(() => undefined);
  if (body === undefined) {
    response.writeHead(413).end();
    return;
  }
  await serve({
    method: request.method ?? '',
    path: new URL(request.url ?? '/', 'http://agent').pathname,
    body,
    signal: gone.signal,
    begin: (status, contentType) =>
      void response.writeHead(status, { 'content-type': contentType }),
    send: (text) => {
      if (!response.destroyed) response.write(text);
    },
    end: () => void response.end(),
  });
}

async function readBody(request: http.IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > requestTextMax) throw new RangeError('the request is too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** Takes no more requests; streams end, and what does not is cut off. */
function closeServer(server: http.Server | https.Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), closeMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
