/**
 * Image registries over HTTPS. Certificates are always verified, and nothing goes out without TLS.
 * Connections are kept and bounded; silence ends a request.
 */
import type * as http from 'node:http';
import * as https from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as tls from 'node:tls';
import { fail, TransshipError } from '../base/errors.ts';
import type { RegistryRequest, RegistryResponse, RegistryTransport } from '../images/images.ts';

const socketsMax = 32;
const connectMs = 15_000;
/** Longer than a registry needs to hash a large layer before it answers. */
const silenceMs = 120_000;
const idleMs = 20_000;

export interface RegistryTrust {
  /** PEM; trusted beside the authorities that the system trusts. */
  readonly ca?: string;
}

export interface OpenRegistryTransport {
  readonly transport: RegistryTransport;
  /** Ends connections that are kept. */
  close(): void;
}

/** `BadArgument` when the bundle holds no certificate that can be used. */
export function openRegistryTransport({ ca }: RegistryTrust = {}): OpenRegistryTransport {
  const agent = new https.Agent({
    keepAlive: true,
    maxSockets: socketsMax,
    timeout: idleMs,
    rejectUnauthorized: true,
    secureContext: contextOf(ca),
  });
  return {
    transport: (request) => exchange(agent, request),
    close: () => agent.destroy(),
  };
}

function contextOf(ca: string | undefined): tls.SecureContext {
  if (ca !== undefined && !ca.includes('-----BEGIN CERTIFICATE-----')) {
    fail('BadArgument', 'the certificate authority of a registry is no PEM certificate');
  }
  try {
    const trusted = [...tls.getCACertificates('default'), ...(ca === undefined ? [] : [ca])];
    return tls.createSecureContext({ minVersion: 'TLSv1.2', ca: trusted });
  } catch (error) {
    return fail('BadArgument', 'the certificate authority of a registry cannot be read', error);
  }
}

function exchange(agent: https.Agent, request: RegistryRequest): Promise<RegistryResponse> {
  const url = new URL(request.url);
  if (url.protocol !== 'https:') fail('RegistryRefused', `${url.host} is not asked without TLS`);
  return new Promise((resolve, reject) => {
    const outgoing = https.request(url, {
      agent,
      method: request.method,
      headers: { 'user-agent': 'transship', ...request.headers },
      ...(request.signal !== undefined && { signal: request.signal }),
    });
    guard(outgoing);
    outgoing.once('response', (response) => {
      resolve({
        status: response.statusCode ?? 0,
        headers: flatHeaders(response.headers),
        body: pieces(response, url.host),
      });
    });
    // Stays after the answer: a break in the body is the reader's to see.
    outgoing.on('error', (error) => reject(explained(error, url.host)));
    const { body } = request;
    if (body === undefined || body instanceof Uint8Array) {
      outgoing.end(body);
      return;
    }
    // What the stream itself ran into says more than the request that it broke.
    pipeline(Readable.from(body, { objectMode: false }), outgoing).catch((error: Error) => {
      reject(error instanceof TransshipError ? error : explained(error, url.host));
    });
  });
}

function guard(outgoing: http.ClientRequest): void {
  outgoing.setTimeout(silenceMs, () => outgoing.destroy(new Error('it does not answer')));
  outgoing.once('socket', (socket) => {
    if (outgoing.reusedSocket) return;
    const timer = setTimeout(() => outgoing.destroy(new Error('no connection')), connectMs);
    const clear = () => clearTimeout(timer);
    socket.once('secureConnect', clear).once('close', clear);
  });
}

/** A body that ends before the registry said so is an error. Leaving early ends the connection. */
async function* pieces(response: http.IncomingMessage, host: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of response) yield piece as Uint8Array;
  } catch (error) {
    throw explained(error instanceof Error ? error : new Error('cut'), host);
  }
  if (!response.complete) fail('RegistryUnreachable', `registry ${host}: the answer was cut short`);
}

function flatHeaders(headers: http.IncomingHttpHeaders): Readonly<Record<string, string>> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}

const trustPattern = /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/;

function explained(error: Error & { readonly code?: string }, host: string): TransshipError {
  const { code = '', message } = error;
  const why = message === '' ? code : message;
  if (trustPattern.test(code)) {
    const text = `registry ${host}: its certificate cannot be trusted (${code})`;
    return new TransshipError('RegistryRefused', text, { cause: error });
  }
  return new TransshipError('RegistryUnreachable', `registry ${host}: ${why}`, { cause: error });
}
