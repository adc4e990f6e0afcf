/**
 * An API server over HTTP as a `KubeTransport`. TLS is always verified; plain HTTP goes to this
 * machine only. Connections are kept and bounded, one pool per cluster, watches apart from the rest
 * so that they cannot use up the places of short requests.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import * as tls from 'node:tls';
import { fail, TransshipError } from '../base/errors.ts';
import {
  type KubeRequest,
  type KubeResponse,
  type KubeTransport,
  NotSent,
} from '../kube/transport.ts';
import {
  type KubeconfigAccess,
  type KubeconfigSource,
  readKubeconfig,
} from './kube-transport-config.ts';
import { createProver, FreshText, type Proof, type Prover } from './kube-transport-credentials.ts';

const connectMs = 10_000;
const socketsMax = 32;
/** One for each informer. */
const watchSocketsMax = 256;
/** Idle connections are closed before balancers on the way forget them. */
const idleMs = 30_000;
/** Notices at the network's level that the other machine is gone. */
const keepAliveMs = 15_000;

/** What a server says with a 401 is short. */
const refusalBytesMax = 64 * 1024;

const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

/** `BadArgument`, `Unsupported` or `Unauthorized` when the kubeconfig cannot be used. */
export async function openKubeTransport(source: KubeconfigSource): Promise<KubeTransport> {
  const server = new HttpServer(readKubeconfig(source));
  // What is unreadable or wrong is said now, not at the first request.
  await server.check();
  return (request) => server.exchange(request);
}

export interface InClusterPlace {
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** As a pod's service account. `NotFound` outside of a pod. */
export async function inClusterTransport(place: InClusterPlace = {}): Promise<KubeTransport> {
  const { directory = serviceAccountDirectory, environment = process.env } = place;
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === '')
    fail('NotFound', 'this process runs in no pod: KUBERNETES_SERVICE_HOST is unset');
  const server = new HttpServer({
    context: 'in-cluster',
    server: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    ca: { file: `${directory}/ca.crt` },
    serverName: undefined,
    credentials: { kind: 'token', token: { file: `${directory}/token` } },
    headers: {},
  });
  await server.check();
  return (request) => server.exchange(request);
}

interface Agents {
  readonly identity: string;
  readonly ca: string | undefined;
  readonly short: http.Agent;
  readonly watches: http.Agent;
}

class HttpServer {
  readonly #access: KubeconfigAccess;
  readonly #prover: Prover;
  readonly #ca: FreshText | undefined;
  readonly #prefix: string;
  #agents: Agents | undefined;

  constructor(access: KubeconfigAccess) {
    this.#access = access;
    this.#prover = createProver(access.credentials);
    this.#ca =
      access.ca === undefined ? undefined : new FreshText('certificate-authority', access.ca);
    this.#prefix = access.server.pathname.replace(/\/+$/, '');
  }

  async check(): Promise<void> {
    const proof = await this.#prover.prove();
    try {
      this.#agentsFor(proof);
    } catch (error) {
      if (error instanceof TransshipError) throw error;
      const message = error instanceof Error ? error.message : String(error);
      fail('BadArgument', `kubeconfig: a certificate or key cannot be used: ${message}`, error);
    }
  }

  /** A 401 says that nothing was done: with a newer proof the request goes out once more. */
  async exchange(request: KubeRequest): Promise<KubeResponse> {
    const answer = await this.#send(request);
    if (answer.status !== 401) return answer;
    const body = await wholeOf(answer.body);
    return (await this.#prover.renew()) ? this.#send(request) : { ...answer, body };
  }

  async #send(request: KubeRequest): Promise<KubeResponse> {
    const proof = await this.#prover.prove();
    const agents = this.#agentsFor(proof);
    const { server } = this.#access;
    const isWatch = /[?&]watch=(true|1)(&|$)/.test(request.path);
    const body = request.body ?? new Uint8Array(0);
    const options: https.RequestOptions = {
      agent: isWatch ? agents.watches : agents.short,
      host: server.hostname.replace(/^\[|\]$/g, ''),
      port: server.port === '' ? (server.protocol === 'https:' ? 443 : 80) : Number(server.port),
      method: request.method,
      path: `${this.#prefix}${request.path}`,
      headers: {
        'user-agent': 'transship',
        ...request.headers,
        ...this.#access.headers,
        ...proof.headers,
        ...(body.length > 0 && { 'content-length': String(body.length) }),
      },
      ...(request.signal !== undefined && { signal: request.signal }),
    };
    const start = server.protocol === 'https:' ? https.request : http.request;
    return converse(start(options), body, server.host);
  }

  #agentsFor(proof: Proof): Agents {
    const known = this.#agents;
    const ca = this.#ca?.text;
    if (known !== undefined && known.identity === proof.identity && known.ca === ca) return known;
    // Connections of the former agents end when they are idle, or with their watch.
    const agents = {
      identity: proof.identity,
      ca,
      short: this.#createAgent(proof, socketsMax),
      watches: this.#createAgent(proof, watchSocketsMax),
    };
    this.#agents = agents;
    return agents;
  }

  #createAgent(proof: Proof, maxSockets: number): http.Agent {
    const pool = { keepAlive: true, keepAliveMsecs: keepAliveMs, maxSockets, timeout: idleMs };
    if (this.#access.server.protocol === 'http:') return new http.Agent(pool);
    const { serverName } = this.#access;
    const ca = this.#ca?.text;
    const secureContext = tls.createSecureContext({
      minVersion: 'TLSv1.2',
      ...(ca !== undefined && { ca }),
      ...(proof.certificate !== undefined && { cert: proof.certificate }),
      ...(proof.key !== undefined && { key: proof.key }),
    });
    return new https.Agent({
      ...pool,
      secureContext,
      rejectUnauthorized: true,
      ...(serverName !== undefined && { servername: serverName }),
    });
  }
}

async function wholeOf(body: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > refusalBytesMax) break;
    parts.push(piece);
  }
  return ReadableStream.from(parts);
}

function converse(
  request: http.ClientRequest,
  body: Uint8Array,
  host: string,
): Promise<KubeResponse> {
  return new Promise((resolve, reject) => {
    let isConnected = false;
    request.once('socket', (socket) => {
      guardConnecting(request, socket, () => {
        isConnected = true;
      });
    });
    request.once('response', (response) => {
      resolve({
        status: response.statusCode ?? 0,
        headers: flatHeaders(response.headers),
        body: pieces(response, host),
      });
    });
    // Stays after the answer: a break in the body is the reader's to see, not an uncaught event.
    request.on('error', (error) => {
      const message = `${host}: ${explained(error)}`;
      if (isConnected) reject(new TransshipError('ApiUnreachable', message, { cause: error }));
      else reject(new NotSent(message, error));
    });
    request.end(body);
  });
}

function guardConnecting(request: http.ClientRequest, socket: Socket, connected: () => void): void {
  if (!socket.connecting && request.reusedSocket) return connected();
  const timer = setTimeout(() => {
    request.destroy(new Error(`no connection in ${connectMs / 1000} s`));
  }, connectMs);
  const event = 'encrypted' in socket ? 'secureConnect' : 'connect';
  socket.once(event, () => {
    clearTimeout(timer);
    connected();
  });
  socket.once('close', () => clearTimeout(timer));
}

const trustTroubles: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
]);

function explained(error: Error & { readonly code?: string; readonly reason?: string }): string {
  const { code = '', message, reason } = error;
  if (code.startsWith('ERR_SSL_')) return `TLS failed: ${reason ?? code}`;
  if (trustTroubles.has(code)) {
    return `its certificate is not signed by the authority of the kubeconfig (${code})`;
  }
  // Errors of several addresses at once have no message of their own.
  return message === '' ? code : message;
}

function flatHeaders(headers: http.IncomingHttpHeaders): Readonly<Record<string, string>> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}

/** A body that ends before the server said so is an error. Leaving early closes the connection. */
async function* pieces(response: http.IncomingMessage, host: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of response) yield piece as Uint8Array;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    fail('ApiUnreachable', `${host}: the answer was cut short: ${why}`, error);
  }
  if (!response.complete) fail('ApiUnreachable', `${host}: the answer was cut short`);
}
