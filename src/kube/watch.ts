/** One watch: its events in order, until it ends or breaks. */
import { fail, TransshipError } from '../base/errors.ts';
import type { KubeConnection, Selectors } from './api.ts';
import { send, unreachableError } from './exchange.ts';
import { createLineReader } from './lines.ts';
import type { KubeObject, ResourceType } from './objects.ts';
import { askedList, isKubeObject, typed } from './pages.ts';
import { collectionPath, queryText } from './paths.ts';
import { type Asked, errorOfAnswer, errorOfStatus, isStatus } from './status-errors.ts';
import type { KubeResponse } from './transport.ts';
import { orAborted } from './waiting.ts';

/** The server ends a watch itself after a time in this range: load spreads, nothing grows old. */
const watchSecondsMin = 300;
const watchSecondsMax = 600;
/** The answer's head must be here by then. */
const headersMs = 30_000;
/** How much longer than the server's own limit a watch may say nothing. */
const silenceSlackMs = 30_000;
/** Servers that send bookmarks send one every minute: three missed ones are a dead connection. */
const silenceMsWithBookmarks = 180_000;
/** The body of an error answer. */
const errorBytesMax = 64 * 1024;

export type WatchEvent<T extends KubeObject> =
  | { readonly type: 'seen' | 'gone'; readonly object: T; readonly version: string }
  | { readonly type: 'bookmark'; readonly version: string };

export interface WatchRequest {
  readonly selectors: Selectors;
  /** Where to go on. */
  readonly version: string;
  /** The server is known to send bookmarks. */
  readonly bookmarks: boolean;
  readonly signal: AbortSignal;
}

export interface WatchListener<T extends KubeObject> {
  /** The server agreed. */
  opened(): void;
  event(event: WatchEvent<T>): void;
}

/**
 * Resolves when the server ended the watch, rejects when it broke: `ApiUnreachable` for a cut or
 * silent connection, an `ApiError` for what the server said, `ProtocolError` for what makes no
 * sense, `LimitExceeded` for an event that is too long.
 */
export async function watchOnce<T extends KubeObject>(
  connection: KubeConnection,
  type: ResourceType<T>,
  request: WatchRequest,
  listener: WatchListener<T>,
): Promise<void> {
  const { random } = connection;
  const range = watchSecondsMax - watchSecondsMin;
  const seconds = watchSecondsMin + Math.floor(random.fraction() * (range + 1));
  const asked = askedList(connection, type, 'watch', request.selectors);
  const silence = new SilenceGuard(connection, asked, request.signal);
  try {
    silence.expectWithin(headersMs);
    const response = await send(connection, watchExchange(type, request, seconds), silence.signal);
    if (response.status !== 200) throw await errorAnswer(asked, response, silence.signal);
    listener.opened();
    const longestMs = seconds * 1000 + silenceSlackMs;
    const reader = new EventReader(type, asked, listener);
    const expectMore = (): void => {
      const sendsBookmarks = request.bookmarks || reader.sawBookmark;
      silence.expectWithin(sendsBookmarks ? silenceMsWithBookmarks : longestMs);
    };
    expectMore();
    for await (const piece of heeding(response.body, silence.signal)) {
      reader.read(piece);
      expectMore();
    }
  } catch (error) {
    throw unreachableError(asked, error);
  } finally {
    silence.end();
  }
}

function watchExchange<T extends KubeObject>(
  type: ResourceType<T>,
  { selectors, version }: WatchRequest,
  timeoutSeconds: number,
): Parameters<typeof send>[1] {
  const query = queryText({
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: version,
    timeoutSeconds,
    labelSelector: selectors.labels,
    fieldSelector: selectors.fields,
  });
  return {
    asked: { cluster: '', verb: 'watch', resource: type.plural, name: '', namespace: '' },
    method: 'GET',
    path: `${collectionPath(type, selectors.namespace)}${query}`,
  };
}

/** Ends the exchange when nothing is heard for too long, or when the caller wants it ended. */
class SilenceGuard {
  readonly #connection: KubeConnection;
  readonly #asked: Asked;
  readonly #outer: AbortSignal;
  readonly #ending = new AbortController();
  #timer: { cancel(): void } | undefined;
  readonly #cancel = (): void => this.#ending.abort(this.#outer.reason);

  constructor(connection: KubeConnection, asked: Asked, outer: AbortSignal) {
    this.#connection = connection;
    this.#asked = asked;
    this.#outer = outer;
    outer.addEventListener('abort', this.#cancel);
    if (outer.aborted) this.#cancel();
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  expectWithin(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#connection.clock.after(ms, () => {
      const { cluster, resource } = this.#asked;
      const message = `cluster ${cluster}: watch of ${resource} was silent for ${ms / 1000} s`;
      this.#ending.abort(new TransshipError('ApiUnreachable', message));
    });
  }

  /** Also gives the connection back, whatever state it is in. */
  end(): void {
    this.#timer?.cancel();
    this.#outer.removeEventListener('abort', this.#cancel);
    this.#ending.abort(new TransshipError('Canceled', 'the watch has ended'));
  }
}

/** The pieces of a body that may heed no signal itself. */
async function* heeding(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  let isDone = false;
  try {
    for (;;) {
      const { done, value } = await orAborted(iterator.next(), signal);
      isDone = done === true;
      if (done === true) return;
      yield value;
    }
  } finally {
    if (!isDone) void iterator.return?.().catch(() => undefined);
  }
}

async function errorAnswer(
  asked: Asked,
  response: KubeResponse,
  signal: AbortSignal,
): Promise<Error> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of heeding(response.body, signal)) {
    parts.push(piece);
    bytes += piece.length;
    if (bytes > errorBytesMax) break;
  }
  return errorOfAnswer(asked, response, Buffer.concat(parts).toString('utf8'));
}

class EventReader<T extends KubeObject> {
  readonly #type: ResourceType<T>;
  readonly #asked: Asked;
  readonly #listener: WatchListener<T>;
  readonly #lines = createLineReader();
  sawBookmark = false;

  constructor(type: ResourceType<T>, asked: Asked, listener: WatchListener<T>) {
    this.#type = type;
    this.#asked = asked;
    this.#listener = listener;
  }

  read(piece: Uint8Array): void {
    for (const line of this.#lines.push(piece)) this.#event(line);
  }

  #event(line: string): void {
    const { type: word, object } = parseLine(line, this.#asked);
    if (word === 'ERROR') throw this.#errorOf(object);
    if (!isKubeObject(object)) return this.#refuse(`an event ${word} has no object`);
    const metadata = object['metadata'] as { name?: unknown; resourceVersion?: unknown };
    const version = String(metadata.resourceVersion ?? '');
    switch (word) {
      case 'BOOKMARK':
        this.sawBookmark = true;
        return this.#listener.event({ type: 'bookmark', version });
      case 'ADDED':
      case 'MODIFIED':
      case 'DELETED': {
        if (typeof metadata.name !== 'string') return this.#refuse('an object has no name');
        const type = word === 'DELETED' ? 'gone' : 'seen';
        return this.#listener.event({ type, object: typed(this.#type, object), version });
      }
      default:
        return this.#refuse(`an event is of unknown type ${JSON.stringify(word).slice(0, 40)}`);
    }
  }

  #errorOf(object: unknown): Error {
    if (!isStatus(object)) return errorOfStatus(this.#asked, 500, 'an error without a status');
    return errorOfStatus(this.#asked, object.code ?? 500, object);
  }

  #refuse(why: string): never {
    return refuse(this.#asked, why);
  }
}

function refuse({ cluster, resource }: Asked, why: string): never {
  return fail('ProtocolError', `cluster ${cluster}: watch of ${resource}: ${why}`);
}

function parseLine(line: string, asked: Asked): { type: unknown; object: unknown } {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && 'type' in value && 'object' in value) {
      return { type: value.type, object: value.object };
    }
  } catch {
    return refuse(asked, 'an event is no JSON');
  }
  return refuse(asked, 'an event has no type or no object');
}
