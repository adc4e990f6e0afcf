/**
 * One repository of one registry: requests with authentication, redirects and retries
 * (OCI distribution-spec 1.1).
 */
import { fail, TransshipError } from '../base/errors.ts';
import type { Clock, Random } from '../base/ports.ts';
import type { ImageReference } from '../workload/images.ts';
import { drain, readWhole, refusalBytesMax } from './bodies.ts';
import { readChallenge } from './challenge.ts';
import type { CredentialsFor, RegistryCredentials } from './credentials.ts';
import { Retry } from './retry.ts';
import { type BearerTokens, createTokens } from './tokens.ts';
import type { RegistryRequest, RegistryResponse, RegistryTransport } from './transport.ts';

const redirectsMax = 5;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export interface ImagePorts {
  readonly clock: Clock;
  readonly random: Random;
}

export interface RepositoryPlace {
  readonly image: ImageReference;
  /** Where the registry is reached, `host:port`, when not under the name in the reference. */
  readonly address?: string;
  readonly transport: RegistryTransport;
  readonly credentials?: CredentialsFor;
}

export interface Call {
  readonly method: RegistryRequest['method'];
  /** Below `/v2/<repository>/`, or a whole address that the registry gave. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Statuses that the caller understands; others are errors. */
  readonly expected: readonly number[];
  /** False: the caller repeats by itself. */
  readonly isRepeated?: boolean;
}

export interface Answer extends RegistryResponse {
  /** After redirects; what a Location is relative to. */
  readonly url: URL;
}

export class Repository {
  readonly host: string;
  readonly repository: string;
  /** Repositories of one origin can mount each other's blobs. */
  readonly origin: string;
  readonly #transport: RegistryTransport;
  readonly #credentials: RegistryCredentials | undefined;
  readonly #ports: ImagePorts;
  readonly #signal: AbortSignal;
  readonly #tokens: BearerTokens;
  #usesBasic = false;
  #bodyBytes = 0;

  constructor(
    place: RepositoryPlace,
    access: { readonly actions: 'pull' | 'pull,push'; readonly mountFrom?: readonly string[] },
    ports: ImagePorts,
    signal: AbortSignal,
  ) {
    const { image, transport } = place;
    this.host = image.host;
    this.repository = image.repository;
    const named = image.host === 'docker.io' ? 'registry-1.docker.io' : image.host;
    this.origin = originOf(place.address ?? named);
    this.#transport = transport;
    this.#credentials = place.credentials?.(image.host, image.repository);
    this.#ports = ports;
    this.#signal = signal;
    const others = (access.mountFrom ?? []).map((one) => `repository:${one}:pull`);
    this.#tokens = createTokens({
      send: (request) => this.#once(request),
      clock: ports.clock,
      credentials: this.#credentials,
      scopes: [`repository:${image.repository}:${access.actions}`, ...others],
      name: this.host,
    });
  }

  /** For messages. */
  get name(): string {
    return `${this.host}/${this.repository}`;
  }

  /** Bodies in both directions, what was sent again included. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  retry(): Retry {
    return new Retry(this.#ports, this.#signal);
  }

  /**
   * `RegistryUnreachable` or `TooManyRequests` after several attempts, `RegistryRefused`,
   * `NotFound`, `Canceled`; `ImageInvalid` for every other status that is not expected.
   */
  async send(call: Call): Promise<Answer> {
    if (call.isRepeated === false) return this.#attempt(call);
    const retry = this.retry();
    for (;;) {
      try {
        return await this.#attempt(call);
      } catch (error) {
        await retry.after(error);
      }
    }
  }

  async #attempt(call: Call): Promise<Answer> {
    const url =
      typeof call.path === 'string'
        ? new URL(`${this.origin}/v2/${this.repository}/${call.path}`)
        : call.path;
    const usedBasic = this.#usesBasic;
    let answer = await this.#follow(call, url);
    const isOwn = url.origin === this.origin;
    if (answer.status === 401 && isOwn && (await this.#prove(answer, usedBasic))) {
      // A stream that has begun cannot be sent a second time.
      if (call.body === undefined || call.body instanceof Uint8Array) {
        answer = await this.#follow(call, url);
      }
    }
    if (call.expected.includes(answer.status)) return answer;
    throw await this.#refusal(answer, call);
  }

  async #follow(call: Call, first: URL): Promise<Answer> {
    let url = first;
    for (let hops = 0; hops <= redirectsMax; hops += 1) {
      requireHttps(url, this.name);
      const answer = await this.#once({
        method: call.method,
        url: url.href,
        headers: {
          ...call.headers,
          ...(call.body instanceof Uint8Array && {
            'content-length': String(call.body.length),
          }),
          // Credentials are for the registry, not for those it points to.
          ...(url.origin === this.origin && this.#authorization()),
        },
        ...(call.body !== undefined && { body: this.#counted(call.body) }),
      });
      const location = answer.headers['location'];
      const isRead = call.method === 'GET' || call.method === 'HEAD';
      if (!isRead || !redirects.has(answer.status) || location === undefined) {
        return { ...answer, url };
      }
      await drain(answer.body);
      url = resolveUrl(location, url, this.name);
    }
    return fail('ImageInvalid', `${this.name}: the registry redirects without end`);
  }

  #counted(body: Uint8Array | AsyncIterable<Uint8Array>): Uint8Array | AsyncIterable<Uint8Array> {
    if (!(body instanceof Uint8Array)) return this.#count(body);
    this.#bodyBytes += body.length;
    return body;
  }

  async *#count(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      this.#bodyBytes += piece.length;
      yield piece;
    }
  }

  async #once(request: RegistryRequest): Promise<RegistryResponse> {
    if (this.#signal.aborted) fail('Canceled', 'copying the image was canceled');
    try {
      const response = await this.#transport({ ...request, signal: this.#signal });
      return { ...response, body: this.#count(response.body) };
    } catch (error) {
      if (this.#signal.aborted) fail('Canceled', 'copying the image was canceled', error);
      throw error;
    }
  }

  #authorization(): Readonly<Record<string, string>> {
    const { username, password, registryToken } = this.#credentials ?? {};
    const token = registryToken ?? this.#tokens.current();
    if (token !== undefined) return { authorization: `Bearer ${token}` };
    if (!this.#usesBasic || username === undefined) return {};
    const pair = Buffer.from(`${username}:${password ?? ''}`, 'utf8').toString('base64');
    return { authorization: `Basic ${pair}` };
  }

  /** Whether another attempt may be admitted. */
  async #prove(answer: Answer, usedBasic: boolean): Promise<boolean> {
    const challenge = readChallenge(answer.headers['www-authenticate'] ?? '');
    await drain(answer.body);
    if (challenge === undefined || this.#credentials?.registryToken !== undefined) return false;
    if (challenge.kind === 'bearer') return this.#tokens.fetch(challenge);
    this.#usesBasic = true;
    return !usedBasic && this.#credentials?.username !== undefined;
  }

  async #refusal(answer: Answer, { method, path }: Call): Promise<TransshipError> {
    const code = await refusalCode(answer);
    const { status } = answer;
    // Addresses that a registry gave may hold secrets of their own.
    const what = typeof path === 'string' ? path.split('?')[0] : 'an upload';
    const text = `${this.name}: ${method} ${what}: HTTP ${status}${code}`;
    const waitMs = Retry.waitOf(answer.headers['retry-after'], this.#ports.clock.wallMs());
    const told = { cause: { waitMs, status } };
    if (status === 429) return new TransshipError('TooManyRequests', text, told);
    if (status >= 500 || status === 408) {
      return new TransshipError('RegistryUnreachable', text, told);
    }
    if (status === 401 || status === 403) return new TransshipError('RegistryRefused', text, told);
    return new TransshipError(status === 404 ? 'NotFound' : 'ImageInvalid', text, told);
  }
}

/** The status of an error that a registry's answer became. */
export function statusOf(error: unknown): number | undefined {
  const cause = error instanceof TransshipError ? error.cause : undefined;
  if (typeof cause !== 'object' || cause === null || !('status' in cause)) return undefined;
  return typeof cause.status === 'number' ? cause.status : undefined;
}

function originOf(address: string): string {
  let url: URL;
  try {
    url = new URL(`https://${address}`);
  } catch {
    return fail('BadArgument', `'${address}' is no address of a registry`);
  }
  const isPlain = url.pathname === '/' && url.username === '' && url.search === '';
  return isPlain ? url.origin : fail('BadArgument', 'the address of a registry is host:port');
}

function requireHttps(url: URL, name: string): void {
  if (url.protocol === 'https:' && url.username === '') return;
  fail('RegistryRefused', `${name}: the registry points to ${url.host}, which is not https`);
}

export function resolveUrl(location: string, base: URL, name: string): URL {
  let url: URL;
  try {
    url = new URL(location, base);
  } catch {
    return fail('ImageInvalid', `${name}: the registry points to no address`);
  }
  requireHttps(url, name);
  return url;
}

/** Registries say why in a list of codes; their free text may repeat what we sent. */
async function refusalCode({ body }: RegistryResponse): Promise<string> {
  try {
    const text = Buffer.from(await readWhole(body, refusalBytesMax)).toString('utf8');
    const code = /"code"\s*:\s*"([A-Z_]{1,64})"/.exec(text)?.[1];
    return code === undefined ? '' : ` ${code}`;
  } catch {
    return '';
  }
}
