/** The embedded API server on a TLS port. Who a client is, its certificate says, or its token. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import { fail } from '../../base/errors.ts';
import type { Log } from '../../base/ports.ts';
import type { ApiServer, UserInfo } from '../../embedded/server/api.ts';
import type { KubeMethod, KubeRequest, KubeResponse } from '../../kube/transport.ts';

export interface ApiListenerOptions {
  readonly server: ApiServer;
  /** 127.0.0.1 when absent. */
  readonly host?: string;
  /** 0: any free one. The caller remembers it, so that kubeconfigs stay right. */
  readonly port: number;
  /** PEM: the server's own. */
  readonly key: string;
  readonly certificate: string;
  /** PEM: who signs certificates of clients. */
  readonly authority: string;
  readonly log: Log;
}

export interface ApiListener {
  readonly host: string;
  readonly port: number;
  /** Open streams get a moment to end by themselves: close the server first. */
  close(): Promise<void>;
}

/** Somewhat more than the server takes, so that it can say why it refuses. */
const bodyBytesMax = 3 * 1024 * 1024 + 64 * 1024;
const headersMs = 10_000;
const bodyMs = 60_000;
const keepAliveMs = 120_000;
const connectionsMax = 2_000;
const closeMs = 2_000;

const methods: Readonly<Record<string, KubeMethod>> = {
  GET: 'GET',
  POST: 'POST',
  PUT: 'PUT',
  PATCH: 'PATCH',
  DELETE: 'DELETE',
};

/** `InUse` when the port is taken. */
export async function listenApi(options: ApiListenerOptions): Promise<ApiListener> {
  const { server, log, host = '127.0.0.1' } = options;
  const listener = https.createServer(
    {
      key: options.key,
      cert: options.certificate,
      ca: options.authority,
      minVersion: 'TLSv1.2',
      requestCert: true,
      // Clients with a token have no certificate; one of a stranger is refused below.
      rejectUnauthorized: false,
      keepAlive: true,
      noDelay: true,
    },
    (request, response) => {
      serve(server, request, response).catch((error: unknown) => {
        log.log('debug', 'a request ended early', { error: String(error) });
        response.destroy();
      });
    },
  );
  listener.headersTimeout = headersMs;
  listener.requestTimeout = bodyMs;
  listener.keepAliveTimeout = keepAliveMs;
  listener.maxConnections = connectionsMax;
  // Failed handshakes are the client's trouble.
  listener.on('tlsClientError', () => undefined);
  const port = await listen(listener, host, options.port);
  return { host, port, close: () => closeListener(listener) };
}

function listen(listener: https.Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once('error', (error: NodeJS.ErrnoException) => {
      try {
        const why = error.code === 'EADDRINUSE' ? 'is taken' : `cannot be used: ${error.message}`;
        fail(error.code === 'EADDRINUSE' ? 'InUse' : 'BadArgument', `port ${host}:${port} ${why}`);
      } catch (clear) {
        reject(clear instanceof Error ? clear : error);
      }
    });
    listener.listen({ host, port }, () => {
      listener.removeAllListeners('error');
      const address: AddressInfo | string | null = listener.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

async function closeListener(listener: https.Server): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    listener.close(() => resolve());
  });
  listener.closeIdleConnections();
  const cut = setTimeout(() => listener.closeAllConnections(), closeMs);
  await closed;
  clearTimeout(cut);
}

async function serve(
  server: ApiServer,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const method = methods[request.method ?? ''];
  if (method === undefined) return void response.writeHead(405).end();
  const client = clientOf(request);
  if (client === 'unknown') return refuse(response, 401, 'Unauthorized');
  const body = await readBody(request);
  if (body === undefined) {
    response.setHeader('connection', 'close');
    return refuse(response, 413, 'RequestEntityTooLarge');
  }
  const asked: KubeRequest = {
    method,
    path: request.url ?? '/',
    headers: headersOf(request),
    ...(body.length === 0 ? {} : { body }),
    signal: gone.signal,
  };
  await send(await server.handle(asked, client), response, gone.signal);
}

/** Undefined: it proved nothing, a token may. `unknown`: a certificate that is not ours. */
function clientOf(request: IncomingMessage): UserInfo | undefined | 'unknown' {
  const { socket } = request;
  if (!(socket instanceof TLSSocket)) return 'unknown';
  const certificate = socket.getPeerCertificate();
  if (Object.keys(certificate).length === 0) return undefined;
  if (!socket.authorized) return 'unknown';
  const subject: unknown = certificate.subject;
  if (typeof subject !== 'object' || subject === null) return 'unknown';
  const fields = new Map<string, unknown>(Object.entries(subject));
  const name = fields.get('CN');
  if (typeof name !== 'string' || name === '') return 'unknown';
  const groups = [fields.get('O') ?? []].flat().map(String);
  return { name, groups };
}

/** A `metav1.Status`, for what the server itself never sees. */
function refuse(response: ServerResponse, code: number, reason: string): void {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' };
  const text = JSON.stringify({ ...status, message: reason, reason, code });
  response.writeHead(code, { 'content-type': 'application/json' }).end(text);
}

async function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request) {
    if (!(part instanceof Uint8Array)) continue;
    size += part.length;
    if (size > bodyBytesMax) return undefined;
    parts.push(part);
  }
  return parts.length === 1 ? parts[0] : Buffer.concat(parts);
}

function headersOf(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return headers;
}

/** The body as fast as the client takes it, and no faster. */
async function send(
  answer: KubeResponse,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  response.writeHead(answer.status, answer.headers);
  // A watch has no line yet: its client waits for the headers.
  response.flushHeaders();
  for await (const part of answer.body) {
    if (gone.aborted) return;
    if (!response.write(part)) await drained(response, gone);
  }
  response.end();
}

async function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  if (gone.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      gone.removeEventListener('abort', done);
      resolve();
    };
    response.once('drain', done);
    gone.addEventListener('abort', done);
  });
}
