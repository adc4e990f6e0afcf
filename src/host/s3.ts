/** As much of S3 as a repository needs to be tried: put, get, delete, list. */
import * as http from 'node:http';
import * as https from 'node:https';
import { fail, TransshipError } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';
import type { Reason } from '../base/reasons.ts';
import { encodePath, encodeQuery, signedHeadersOf } from './signature-v4.ts';

export interface S3Place {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly caBundle?: string;
  readonly forcePathStyle: boolean;
}

export interface S3Listing {
  readonly bytes: number;
  readonly objects: number;
  /** Undefined: there is nothing more. */
  readonly next: string | undefined;
}

const answerBytesMax = 8 * 1024 * 1024;
const silenceMs = 30_000;
const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);
const nothing = new Uint8Array();

interface Answer {
  readonly status: number;
  readonly text: string;
}

interface Call {
  readonly method: string;
  readonly name: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export class S3 {
  readonly #place: S3Place;
  readonly #clock: Clock;
  readonly #url: URL;

  /** `BadArgument` for an endpoint that is no address, or not private enough for credentials. */
  constructor(place: S3Place, clock: Clock) {
    this.#place = place;
    this.#clock = clock;
    this.#url = endpointOf(place.endpoint);
  }

  async put(name: string, body: Uint8Array): Promise<void> {
    await this.#send({ method: 'PUT', name, body });
  }

  async get(name: string): Promise<Uint8Array> {
    return Buffer.from((await this.#send({ method: 'GET', name })).text, 'latin1');
  }

  async delete(name: string): Promise<void> {
    await this.#send({ method: 'DELETE', name });
  }

  /** One page of a listing; 1000 objects at most. */
  async list(prefix: string, after: string | undefined): Promise<S3Listing> {
    const more = after === undefined ? {} : { 'continuation-token': after };
    const query = { 'list-type': '2', prefix, ...more };
    const { text } = await this.#send({ method: 'GET', name: '', query });
    if (!text.includes('<ListBucketResult')) {
      fail('ProtocolError', `${this.#url.host} does not answer as an object store`);
    }
    const sizes = [...text.matchAll(/<Size>(\d+)<\/Size>/g)].map(([, size]) => Number(size));
    const isMore = /<IsTruncated>true<\/IsTruncated>/.test(text);
    const next = /<NextContinuationToken>([^<]+)<\/NextContinuationToken>/.exec(text)?.[1];
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    return { bytes, objects: sizes.length, next: isMore ? unescaped(next) : undefined };
  }

  async #send(call: Call): Promise<Answer> {
    const answer = await this.#exchange(call);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw refusal(answer, this.#place.bucket, this.#url.host);
  }

  #exchange({ method, name, query = {}, body = nothing }: Call): Promise<Answer> {
    const { bucket, forcePathStyle, caBundle } = this.#place;
    const url = this.#url;
    const host = forcePathStyle ? url.host : `${bucket}.${url.host}`;
    const path = forcePathStyle ? `/${bucket}/${name}` : `/${name}`;
    const signed = { method, host, path, query, body };
    const headers = signedHeadersOf(signed, this.#place, this.#clock.wallMs());
    const search = encodeQuery(query);
    const options = {
      method,
      hostname: (forcePathStyle ? url.hostname : `${bucket}.${url.hostname}`).replaceAll(
        /[[\]]/g,
        '',
      ),
      port: url.port === '' ? undefined : Number(url.port),
      path: `${encodePath(path)}${search === '' ? '' : `?${search}`}`,
      headers: { ...headers, host, 'content-length': body.length },
      timeout: silenceMs,
      ...(caBundle === undefined ? {} : { ca: caBundle }),
    };
    return exchange(url.protocol === 'https:' ? https.request : http.request, options, body);
  }
}

function endpointOf(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return fail('BadArgument', `'${text}' is no address of an object store`);
  }
  const isPrivate = url.protocol === 'https:' || loopback.has(url.hostname);
  if (!isPrivate || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    fail('BadArgument', `${url.protocol}//${url.host} is not https: it would show the content`);
  }
  return url;
}

function exchange(
  request: typeof https.request,
  options: https.RequestOptions,
  body: Uint8Array,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(unreachable(options, error));
    const outgoing = request(options, (response) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > answerBytesMax) outgoing.destroy(new Error('the answer is too long'));
        else parts.push(part);
      });
      response.once('error', failed);
      response.once('end', () => {
        const text = Buffer.concat(parts).toString('latin1');
        resolve({ status: response.statusCode ?? 0, text });
      });
    });
    outgoing.once('error', failed);
    outgoing.once('timeout', () => outgoing.destroy(new Error('it does not answer')));
    outgoing.end(body);
  });
}

function unreachable({ hostname }: https.RequestOptions, cause: Error): TransshipError {
  const message = `object store ${hostname ?? ''} cannot be reached: ${cause.message}`;
  return new TransshipError('RepositoryUnreachable', message, { cause });
}

/** S3's own word for what is wrong, as one of ours. */
function refusal({ status, text }: Answer, bucket: string, host: string): TransshipError {
  const code = /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(text)?.[1] ?? `HTTP ${status}`;
  const message = `object store ${host} refuses bucket ${bucket}: ${code}`;
  return new TransshipError(reasonOf(status, code), message);
}

const badKeys: ReadonlySet<string> = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
]);

function reasonOf(status: number, code: string): Reason {
  if (badKeys.has(code) || status === 401) return 'Unauthorized';
  if (status === 403) return 'Forbidden';
  if (status === 404) return 'NotFound';
  if (status === 429 || code === 'SlowDown') return 'TooManyRequests';
  return status >= 500 ? 'RepositoryUnreachable' : 'BadArgument';
}

function unescaped(text: string | undefined): string | undefined {
  return text
    ?.replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
}
