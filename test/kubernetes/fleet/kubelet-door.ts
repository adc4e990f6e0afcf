/**
 * What an API server asks of a node: `GET /containerLogs/NAMESPACE/POD/CONTAINER` over HTTPS, with
 * the API server's own certificate. Nobody else is answered.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { TLSSocket } from 'node:tls';
import { asTransshipError } from '../../../src/base/errors.ts';
import type { PodLogRequest } from '../../../src/embedded/server/api.ts';
import type { KeyAndCertificate } from '../control-plane/certificates.ts';

export interface KubeletDoorOptions {
  readonly identity: KeyAndCertificate;
  /** PEM: who signed the API server's certificate as a client. */
  readonly authority: string;
  /** Common name of that certificate. */
  readonly clientName: string;
  readLog(request: PodLogRequest): Promise<AsyncIterable<Uint8Array>>;
}

export interface KubeletDoor {
  readonly port: number;
  close(): Promise<void>;
}

export async function openKubeletDoor(options: KubeletDoorOptions): Promise<KubeletDoor> {
  const { identity, authority } = options;
  const server = createServer(
    {
      key: identity.keyPem,
      cert: identity.certPem,
      ca: authority,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      serve(options, request, response).catch((error: unknown) => {
        // Too late for words: a client that left, or a log that ended in its middle.
        if (response.headersSent) return void response.destroy();
        const { reason, message } = asTransshipError(error);
        response.writeHead(reason === 'NotFound' ? 404 : 400).end(message);
      });
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function serve(
  options: KubeletDoorOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { socket } = request;
  const name = socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : undefined;
  if (name !== options.clientName) return void response.writeHead(403).end('Forbidden');
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const asked = logRequest(request.url ?? '', gone.signal);
  if (request.method !== 'GET' || asked === undefined) return void response.writeHead(404).end();
  const log = await options.readLog(asked);
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  await pipeline(log, response);
}

function logRequest(url: string, signal: AbortSignal): PodLogRequest | undefined {
  const { pathname, searchParams: query } = new URL(url, 'https://localhost');
  const words = pathname.split('/').slice(1).map(decodeURIComponent);
  const [verb, namespace, pod, container] = words;
  if (verb !== 'containerLogs' || words.length !== 4) return undefined;
  if (namespace === undefined || pod === undefined) return undefined;
  const number = (name: string) => (query.has(name) ? Number(query.get(name)) : undefined);
  const sinceSeconds = number('sinceSeconds');
  const since = sinceSeconds === undefined ? undefined : Date.now() - sinceSeconds * 1000;
  return {
    namespace,
    pod,
    container,
    follow: query.get('follow') === 'true',
    previous: query.get('previous') === 'true',
    tailLines: number('tailLines'),
    sinceTime: since === undefined ? (query.get('sinceTime') ?? undefined) : timeOf(since),
    timestamps: query.get('timestamps') === 'true',
    limitBytes: number('limitBytes'),
    signal,
  };
}

const timeOf = (ms: number): string => new Date(ms).toISOString();
