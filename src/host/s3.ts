/** As much of S3 as a repository needs: put (only if absent), get (a range), delete, list. */
import * as http from 'node:http';
import * as https from 'node:https';
import { asTransshipError, fail, TransshipError } from '../base/errors.ts';
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

export interface S3Entry {
  readonly name: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface S3Listing {
  readonly bytes: number;
  readonly objects: number;
  readonly entries: readonly S3Entry[];
  /** Undefined: there is nothing more. */
  readonly next: string | undefined;
}

/** The largest object that is read whole: an index, or a pack. */
const answerBytesMax = 32 * 1024 * 1024;
const silenceMs = 30_000;
const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);
const nothing = new Uint8Array();

interface Answer {
  readonly status: number;
  readonly bytes: Uint8Array;
}

interface Call {
  readonly method: string;
  readonly name: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly sha256?: string;
  /** Not signed: they change no meaning that a thief could use. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface S3PutOptions {
  /** `AlreadyExists` when there is such an object; a store that has no condition is looked at. */
  readonly ifAbsent?: boolean;
  readonly sha256?: string;
  readonly signal?: AbortSignal;
}

export interface S3GetOptions {
  /** A value of the header `range`. */
  readonly range?: string;
  readonly signal?: AbortSignal;
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

  async put(name: string, body: Uint8Array, options: S3PutOptions = {}): Promise<void> {
    const { ifAbsent, ...rest } = options;
    const call = { method: 'PUT', name, body, ...rest };
    if (ifAbsent !== true) {
      await this.#send(call);
      return;
    }
    const answer = await this.#exchange({ ...call, headers: { 'if-none-match': '*' } });
    if (answer.status === 412 || answer.status === 409) fail('AlreadyExists', name);
    const { bucket } = this.#place;
    if (answer.status < 300) return;
    const problem = refusal(answer, bucket, this.#url.host);
    // Older stores do not know the condition: looking first is all that can be done there.
    if (answer.status !== 501) throw problem;
    if (await this.#isThere(name, rest.signal)) fail('AlreadyExists', name);
    await this.#send(call);
  }

  async get(name: string, { range, signal }: S3GetOptions = {}): Promise<Uint8Array> {
    const headers = range === undefined ? {} : { headers: { range } };
    const call = { method: 'GET', name, ...headers, ...(signal === undefined ? {} : { signal }) };
    return (await this.#send(call)).bytes;
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    await this.#send({ method: 'DELETE', name, ...(signal === undefined ? {} : { signal }) });
  }

  /** One page of a listing; 1000 objects at most. */
  async list(prefix: string, after: string | undefined, signal?: AbortSignal): Promise<S3Listing> {
    const more = after === undefined ? {} : { 'continuation-token': after };
    const query = { 'list-type': '2', prefix, ...more };
    const call = { method: 'GET', name: '', query, ...(signal === undefined ? {} : { signal }) };
    const text = textOf(await this.#send(call));
    if (!text.includes('<ListBucketResult')) {
      fail('ProtocolError', `${this.#url.host} does not answer as an object store`);
    }
    const blocks = text.matchAll(/<Contents>(.*?)<\/Contents>/gs);
    const entries = [...blocks].map(([, block = '']) => entryOf(block));
    const isMore = /<IsTruncated>true<\/IsTruncated>/.test(text);
    const next = /<NextContinuationToken>([^<]+)<\/NextContinuationToken>/.exec(text)?.[1];
    const bytes = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const objects = entries.length;
    return { bytes, objects, entries, next: isMore ? unescaped(next) : undefined };
  }

  async #isThere(name: string, signal: AbortSignal | undefined): Promise<boolean> {
    const answer = await this.#exchange({
      method: 'GET',
      name,
      headers: { range: 'bytes=0-0' },
      ...(signal === undefined ? {} : { signal }),
    });
    if (answer.status === 404) return false;
    // An empty object has no first byte.
    if (answer.status < 300 || answer.status === 416) return true;
    throw refusal(answer, this.#place.bucket, this.#url.host);
  }

  async #send(call: Call): Promise<Answer> {
    const answer = await this.#exchange(call);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw refusal(answer, this.#place.bucket, this.#url.host);
  }

  #exchange(call: Call): Promise<Answer> {
    const { method, name, query = {}, body = nothing, sha256, signal } = call;
    const { bucket, forcePathStyle, caBundle } = this.#place;
    const url = this.#url;
    const host = forcePathStyle ? url.host : `${bucket}.${url.host}`;
    const path = forcePathStyle ? `/${bucket}/${name}` : `/${name}`;
    const digest = sha256 === undefined ? {} : { sha256 };
    const signed = { method, host, path, query, body, ...digest };
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
      headers: { ...call.headers, ...headers, host, 'content-length': body.length },
      timeout: silenceMs,
      ...(signal === undefined ? {} : { signal }),
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
    const failed = (error: Error) => {
      const { signal } = options;
      // Whoever took it back says why.
      if (signal?.aborted === true) reject(asTransshipError(signal.reason));
      else reject(unreachable(options, error));
    };
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
        resolve({ status: response.statusCode ?? 0, bytes: Buffer.concat(parts) });
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
function refusal(answer: Answer, bucket: string, host: string): TransshipError {
  const { status } = answer;
  const text = textOf(answer);
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

function textOf({ bytes }: Answer): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function entryOf(block: string): S3Entry {
  const field = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(block)?.[1] ?? '';
  return {
    name: unescaped(field('Key')) ?? '',
    sizeBytes: Number(field('Size')),
    modifiedMs: Date.parse(field('LastModified')),
  };
}

function unescaped(text: string | undefined): string | undefined {
  return text
    ?.replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
}
