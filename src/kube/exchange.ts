/**
 * One request and its whole answer: time and size limits, and the repeats that are safe.
 *
 * A read is repeated after any trouble that may pass. A write only when it surely was not carried
 * out: the server said 429, or 503 with Retry-After, or the connection never came to be.
 */
import { asTransshipError, fail, TransshipError } from '../base/errors.ts';
import type { KubeConnection } from './api.ts';
import { type ApiError, type Asked, askedText, errorOfAnswer } from './status-errors.ts';
import { type KubeMethod, type KubeResponse, NotSent } from './transport.ts';
import { sleep } from '../base/sleep.ts';
import { backoffMs, orAborted } from './waiting.ts';

/** A request that has no whole answer by then has failed. */
export const requestTimeMsDefault = 30_000;
/** Servers refuse objects above 1.5 MiB; documents such as OpenAPI are larger. */
export const objectBytesMax = 16 * 1024 * 1024;
/** A page of a list; a larger one is asked for again in smaller pages. */
export const pageBytesMax = 64 * 1024 * 1024;
/** Sendings of one request, the first included. */
const attemptsMax = 4;
/** No repeat starts later than this after the first sending. */
const repeatWithinMs = 60_000;
/** A server that asks for a longer pause has its wish told to the caller instead. */
const retryAfterMsMax = 10_000;
const backoff = { minMs: 200, maxMs: 5_000 };

export interface Exchange {
  readonly asked: Asked;
  readonly method: KubeMethod;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly bytesMax?: number;
  readonly timeMs?: number;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Answers with an error status reject with an `ApiError`, all else as `KubeTransport` does. */
export async function exchange(connection: KubeConnection, asking: Exchange): Promise<Answer> {
  const { clock, random } = connection;
  const startMs = clock.monotonicMs();
  for (let attempt = 1; ; attempt++) {
    try {
      return await exchangeOnce(connection, asking);
    } catch (error) {
      const wishMs = pauseBeforeRepeat(asking.method, error);
      const pauseMs = Math.max(wishMs ?? 0, backoffMs(backoff, attempt - 1, random));
      const isLate = clock.monotonicMs() + pauseMs > startMs + repeatWithinMs;
      if (wishMs === undefined || attempt === attemptsMax || isLate) throw error;
      await sleep(clock, pauseMs, asking.signal);
      if (asking.signal?.aborted === true) throw error;
    }
  }
}

/** How long to wait at least; undefined: do not repeat. */
function pauseBeforeRepeat(method: KubeMethod, error: unknown): number | undefined {
  if (!(error instanceof TransshipError)) return undefined;
  const { httpStatus, retryAfterMs } = error as Partial<ApiError>;
  if (retryAfterMs !== undefined && retryAfterMs > retryAfterMsMax) return undefined;
  const wasNotRun =
    httpStatus === 429 ||
    (httpStatus === 503 && retryAfterMs !== undefined) ||
    error instanceof NotSent;
  const mayPass = error.reason === 'ApiUnreachable' || (httpStatus ?? 0) >= 500;
  return wasNotRun || (method === 'GET' && mayPass) ? (retryAfterMs ?? 0) : undefined;
}

async function exchangeOnce(connection: KubeConnection, asking: Exchange): Promise<Answer> {
  const { clock, cluster } = connection;
  const { asked, signal } = asking;
  const timeMs = asking.timeMs ?? requestTimeMsDefault;
  const ending = new AbortController();
  const late = (): void => {
    const message = `cluster ${cluster}: ${askedText(asked)}: no answer in ${timeMs / 1000} s`;
    ending.abort(new TransshipError('ApiUnreachable', message));
  };
  const timer = clock.after(timeMs, late);
  const cancel = (): void => ending.abort(signal?.reason);
  signal?.addEventListener('abort', cancel);
  if (signal?.aborted === true) cancel();
  try {
    const response = await send(connection, asking, ending.signal);
    const text = await readText(response, asking, ending.signal);
    if (response.status >= 300) throw errorOfAnswer(asked, response, text);
    return { headers: response.headers, text };
  } finally {
    timer.cancel();
    signal?.removeEventListener('abort', cancel);
  }
}

/** Counts and sends; the answer's body is the caller's to read or to leave. */
export async function send(
  connection: KubeConnection,
  asking: Exchange,
  signal: AbortSignal,
): Promise<KubeResponse> {
  const { counts, transport } = connection;
  const { asked, method, path, body } = asking;
  counts.set(asked.verb, (counts.get(asked.verb) ?? 0) + 1);
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  const request = {
    method,
    path,
    headers: { accept: 'application/json', ...json, ...asking.headers },
    ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
    signal,
  };
  try {
    return await orAborted(transport(request), signal);
  } catch (error) {
    throw unreachableError(asked, error);
  }
}

/** Keeps errors with a reason, and says for all others what was asked. */
export function unreachableError(asked: Asked, error: unknown): TransshipError {
  if (error instanceof TransshipError) return error;
  const { message } = asTransshipError(error);
  const text = `cluster ${asked.cluster}: ${askedText(asked)}: ${message}`;
  return new TransshipError('ApiUnreachable', text, { cause: error });
}

async function readText(
  response: KubeResponse,
  { asked, bytesMax = objectBytesMax }: Exchange,
  signal: AbortSignal,
): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const iterator = response.body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await orAborted(iterator.next(), signal);
      if (done === true) break;
      bytes += value.length;
      if (bytes > bytesMax) {
        fail('LimitExceeded', `${askedText(asked)}: the answer is larger than ${bytesMax} bytes`);
      }
      parts.push(value);
    }
  } catch (error) {
    void iterator.return?.().catch(() => undefined);
    throw unreachableError(asked, error);
  }
  return Buffer.concat(parts).toString('utf8');
}

/**
 * The answer's JSON, or its text where it says that it is something else (a log, say). JSON that is
 * cut short counts as no answer: `ApiUnreachable`.
 */
export async function exchangeValue(
  connection: KubeConnection,
  asking: Exchange,
): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    const { headers, text } = await exchange(connection, asking);
    if (!(headers['content-type'] ?? 'json').includes('json')) return text;
    try {
      return JSON.parse(text);
    } catch (error) {
      if (asking.method === 'GET' && attempt < attemptsMax) {
        await sleep(connection.clock, backoffMs(backoff, attempt - 1, connection.random));
        continue;
      }
      const message = `cluster ${connection.cluster}: ${askedText(asking.asked)}`;
      fail('ApiUnreachable', `${message}: the answer is cut short or no JSON`, error);
    }
  }
}
