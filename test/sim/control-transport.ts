/**
 * The way from a process to an API server, on virtual time and with everything that goes wrong on
 * it: requests and answers that are lost, refused or late, bodies in pieces, cut at any byte.
 */
import { TransshipError } from '../../src/base/errors.ts';
import type { KubeRequest, KubeResponse, KubeTransport } from '../../src/kube/transport.ts';
import type { UserInfo } from '../../src/embedded/server/api.ts';
import type { Life } from './control-life.ts';
import type { SimApi } from './control-api.ts';
import type { Rng } from './rng.ts';
import type { Scheduler } from './scheduler.ts';

/** How things are on the way to one API server; chances are per request. */
export interface Weather {
  /** The connection breaks before the server has the request. */
  lostBefore: number;
  /** The server has it and does it, but the answer is lost. */
  lostAfter: number;
  /** The answer is an error of the server, which did nothing. */
  errors: number;
  /** The body is cut in its middle. */
  cuts: number;
  /** The server says 401 until then. */
  unauthorizedUntilMs: number;
  /** The server says 403 to this verb for this resource; `*` is every one. */
  forbidden: { readonly verb: string; readonly plural: string } | undefined;
  /** One way. */
  delayMs: number;
}

export const fairWeather: Weather = {
  lostBefore: 0,
  lostAfter: 0,
  errors: 0,
  cuts: 0,
  unauthorizedUntilMs: 0,
  forbidden: undefined,
  delayMs: 0.5,
};

/** What a test wants to see or change of what one process asks. */
export type Tap = (request: KubeRequest, next: KubeTransport) => Promise<KubeResponse>;

export interface WayOptions {
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly life: Life;
  readonly api: SimApi;
  readonly user: UserInfo;
  /** Shared by all that ask this server; looked at whenever something is sent. */
  readonly weather: Weather;
  /** Called when a request leaves the process. */
  readonly onSend?: (request: KubeRequest) => void;
}

/** Events of one moment happen in any order, so what must stay in order is a moment apart. */
const tickMs = 0.001;
const piecesMax = 3;

export function simTransport(o: WayOptions): KubeTransport {
  return (request) => {
    o.onSend?.(request);
    return new Promise((resolve, reject) => {
      const { signal } = request;
      const broken = (error: unknown) => o.life.enter(() => reject(asError(error)));
      const abort = () => broken(new Error('aborted'));
      if (signal?.aborted === true) return abort();
      signal?.addEventListener('abort', abort);
      const label = `${o.life.name} ${request.method} ${o.api.name}${pathOf(request)}`;
      o.scheduler.at(delay(o), label, () => {
        serve(o, request).then((response) => {
          o.scheduler.at(delay(o), `answer to ${label}`, () => {
            o.life.enter(() => {
              signal?.removeEventListener('abort', abort);
              resolve(response);
            });
          });
        }, broken);
      });
    });
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function pathOf({ path }: KubeRequest): string {
  return path.replace(/\?.*$/, path.includes('watch=true') ? '?watch' : '');
}

function delay({ rng, weather }: WayOptions): number {
  const scale = rng.chance(0.03) ? 40 : rng.chance(0.2) ? 4 : 1;
  return weather.delayMs * scale * rng.fraction();
}

/** At the server: what becomes of the request. */
async function serve(o: WayOptions, request: KubeRequest): Promise<KubeResponse> {
  const { rng, weather, api, scheduler } = o;
  if (api.server === undefined) throw refused(api.name);
  if (rng.chance(weather.lostBefore)) throw reset(api.name);
  const refusal = refusalOf(o, request);
  if (refusal !== undefined) return refusal;
  const connection = new Connection();
  api.connections.add(connection);
  const left = o.life.onEnd(() => connection.break(new Error('nobody listens')));
  const over = () => {
    api.connections.delete(connection);
    left();
  };
  connection.onOver(over);
  const { signal } = request;
  const abort = () => connection.break(new Error('aborted'));
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort);
  connection.onOver(() => signal?.removeEventListener('abort', abort));
  const answer = api.server.handle({ ...request, signal: connection.signal }, o.user);
  const response = await Promise.race([answer, connection.broken]);
  // Done it is, but nobody will hear of it.
  const isWatch = request.path.includes('watch=true');
  if (!isWatch && rng.chance(weather.lostAfter)) {
    const error = reset(api.name);
    connection.break(error);
    throw error;
  }
  const cutAt = rng.chance(weather.cuts) ? cutBytes(rng, isWatch) : undefined;
  const body = new Body({ scheduler, rng, life: o.life, connection, cutAt, weather });
  body.pump(response.body);
  return { status: response.status, headers: response.headers, body };
}

function cutBytes(rng: Rng, isWatch: boolean): number {
  return Math.floor(rng.fraction() ** 2 * (isWatch ? 30_000 : 4_000));
}

function refused(name: string): Error {
  const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  return new TransshipError('ApiUnreachable', `cluster ${name} refuses connections`, { cause });
}

function reset(name: string): Error {
  const cause = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
  return new TransshipError('ApiUnreachable', `the connection to ${name} broke`, { cause });
}

const verbs = { GET: 'get', POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

/** An answer that the server gives without doing anything. */
function refusalOf(o: WayOptions, request: KubeRequest): KubeResponse | undefined {
  const { rng, weather, scheduler } = o;
  if (scheduler.nowMs < weather.unauthorizedUntilMs) {
    return status(401, 'Unauthorized', 'Unauthorized');
  }
  const { forbidden } = weather;
  const verb = verbs[request.method];
  if (forbidden?.verb === verb && request.path.includes(`/${forbidden.plural}`)) {
    const { plural } = forbidden;
    const message =
      `${plural} is forbidden: User "${o.user.name}" cannot ${verb} resource "${plural}" ` +
      'in API group "" at the cluster scope';
    return status(403, 'Forbidden', message);
  }
  if (!rng.chance(weather.errors)) return undefined;
  const kind = rng.weighted({ busy: 3, failed: 2, unavailable: 2, conflict: 2, timeout: 1 });
  if (kind === 'busy') return status(429, 'TooManyRequests', 'too many', { 'retry-after': '1' });
  if (kind === 'failed') return status(500, 'InternalError', 'etcdserver: leader changed');
  if (kind === 'timeout') return status(504, 'Timeout', 'request timed out');
  const isChange = request.method === 'PUT' || request.method === 'PATCH';
  if (kind === 'conflict' && isChange) return status(409, 'Conflict', 'it has been modified');
  return status(503, 'ServiceUnavailable', 'apiserver is shutting down');
}

function status(
  code: number,
  reason: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): KubeResponse {
  const text = JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
  });
  return {
    status: code,
    headers: { 'content-type': 'application/json', ...headers },
    body: once(Buffer.from(text)),
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** One exchange, as the server has it. */
export class Connection {
  readonly #ending = new AbortController();
  readonly #over: (() => void)[] = [];
  readonly broken: Promise<never>;
  #fail: (error: Error) => void = () => undefined;
  error: Error | undefined;

  constructor() {
    this.broken = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.broken.catch(() => undefined);
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  onOver(tell: () => void): void {
    this.#over.push(tell);
  }

  break(error: Error): void {
    if (this.error !== undefined) return;
    this.error = error;
    this.#fail(error);
    this.#ending.abort(error);
    this.close();
  }

  close(): void {
    for (const tell of this.#over.splice(0)) tell();
  }
}

interface BodyOptions {
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly life: Life;
  readonly connection: Connection;
  /** Bytes after which the connection breaks. */
  readonly cutAt: number | undefined;
  readonly weather: Weather;
}

/** Bytes on their way: in order, in pieces, and perhaps not all of them. */
class Body implements AsyncIterable<Uint8Array> {
  readonly #o: BodyOptions;
  readonly #pieces: Uint8Array[] = [];
  #end: { readonly error: Error | undefined } | undefined;
  #wake: () => void = () => undefined;
  #lastMs = 0;
  #sent = 0;

  constructor(options: BodyOptions) {
    this.#o = options;
    const { connection } = options;
    connection.onOver(() => {
      const { error } = connection;
      if (error !== undefined) this.#arrive(() => this.#finish(error));
    });
  }

  pump(body: AsyncIterable<Uint8Array>): void {
    const { connection } = this.#o;
    const send = async () => {
      for await (const chunk of body) {
        if (connection.error !== undefined) return;
        this.#send(Buffer.from(chunk));
      }
      this.#arrive(() => this.#finish(undefined));
      connection.close();
    };
    send().catch((error: unknown) => connection.break(asError(error)));
  }

  #send(chunk: Uint8Array): void {
    const { rng, cutAt, connection } = this.#o;
    const room = (cutAt ?? Number.POSITIVE_INFINITY) - this.#sent;
    const part = chunk.subarray(0, Math.max(0, room));
    this.#sent += part.length;
    const cuts = rng.chance(0.1) && part.length > 1 ? rng.between(1, piecesMax) : 0;
    const places = Array.from({ length: cuts }, () => rng.below(part.length)).toSorted(byNumber);
    let from = 0;
    for (const to of [...places, part.length]) {
      const piece = part.subarray(from, to);
      from = to;
      if (piece.length > 0) this.#arrive(() => this.#put(piece));
    }
    if (part.length < chunk.length) connection.break(new Error('read ECONNRESET'));
  }

  /** After all that was sent before. */
  #arrive(run: () => void): void {
    const { scheduler, rng, life, weather } = this.#o;
    const soonest = scheduler.nowMs + weather.delayMs * rng.fraction();
    this.#lastMs = Math.max(soonest, this.#lastMs + tickMs);
    const label = `bytes for ${life.name}`;
    scheduler.at(this.#lastMs - scheduler.nowMs, label, () => life.enter(run));
  }

  #put(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#wake();
  }

  #finish(error: Error | undefined): void {
    this.#end ??= { error };
    this.#wake();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        for (;;) {
          const piece = this.#pieces.shift();
          if (piece !== undefined) return { done: false, value: piece };
          if (this.#end?.error !== undefined) throw this.#end.error;
          if (this.#end !== undefined) return { done: true, value: undefined };
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      },
      return: async () => {
        this.#o.connection.break(new Error('nobody reads any more'));
        return { done: true, value: undefined };
      },
    };
  }
}

function byNumber(a: number, b: number): number {
  return a - b;
}
