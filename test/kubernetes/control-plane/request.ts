/** One HTTPS exchange with an API server through node:https alone. */
import { Agent, request } from 'node:https';

export interface Identity {
  readonly certPem?: string;
  readonly keyPem?: string;
  readonly token?: string;
}

export interface Exchange {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the server's root, with the query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: object;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
  /** Undefined if it is not JSON. What it is called is no help: `/openapi/v3` is text/plain. */
  readonly json: unknown;
}

export interface Requester {
  /** Rejects if there is no whole answer. */
  send(exchange: Exchange): Promise<Answer>;
  close(): void;
}

const timeoutMs = 30_000;

export function createRequester(url: string, caPem: string, who: Identity): Requester {
  const { certPem: cert, keyPem: key, token } = who;
  const agent = new Agent({
    keepAlive: true,
    ca: caPem,
    ...(cert && { cert }),
    ...(key && { key }),
  });
  const send = ({ method = 'GET', path, headers, body }: Exchange): Promise<Answer> => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const sent = request(new URL(path, url), {
      agent,
      method,
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        accept: 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: parsed(text),
        });
      });
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  };
  return { send, close: () => agent.destroy() };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
