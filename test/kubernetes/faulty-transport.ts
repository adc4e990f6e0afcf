// A bad way to a server: requests and answers that are lost, late, refused, or cut at any byte, by
// chance that a seed repeats.
import { TransshipError } from '../../src/base/errors.ts';
import type { Clock, Random } from '../../src/base/ports.ts';
import { type KubeResponse, type KubeTransport, NotSent } from '../../src/kube/transport.ts';
import { sleep } from '../../src/base/sleep.ts';

/** Chances from 0 to 1 for each request; a body's are for each of its pieces. */
export interface Faults {
  /** No connection: the server has not seen it. */
  readonly refused: number;
  /** 429 or 503 with Retry-After: the server says that it did nothing. */
  readonly busy: number;
  /** 500, and nobody knows whether anything was done. */
  readonly failed: number;
  /** Carried out, but the answer is lost. */
  readonly answerLost: number;
  /** The body breaks in the middle of a piece. */
  readonly cut: number;
  /** Each way takes up to this long. */
  readonly delayMsMax: number;
}

export const badWeather: Faults = {
  refused: 0.05,
  busy: 0.05,
  failed: 0.03,
  answerLost: 0.05,
  cut: 0.05,
  delayMsMax: 400,
};

export interface FaultyTransportOptions {
  readonly inner: KubeTransport;
  readonly clock: Clock;
  readonly random: Random;
  /** Asked for each request and piece; undefined: all goes well, without delay. */
  faults(): Faults | undefined;
}

export function createFaultyTransport(options: FaultyTransportOptions): KubeTransport {
  const { inner, clock, random } = options;
  const happens = (chance: number): boolean => random.fraction() < chance;
  const late = (faults: Faults): Promise<void> =>
    sleep(clock, random.fraction() * faults.delayMsMax);
  return async (request) => {
    const faults = options.faults();
    if (faults === undefined) return { ...(await inner(request)) };
    await late(faults);
    if (happens(faults.refused)) throw new NotSent('refused by the test');
    if (happens(faults.busy)) return refusal(random.fraction() < 0.5 ? 429 : 503);
    if (happens(faults.failed / 2)) return refusal(500);
    const response = await inner(request);
    const isWatch = request.path.includes('watch=');
    if (!isWatch && happens(faults.failed / 2)) return refusal(500);
    if (!isWatch && happens(faults.answerLost)) {
      throw new TransshipError('ApiUnreachable', 'the answer was lost by the test');
    }
    await late(faults);
    return { ...response, body: faultyBody(response.body, options) };
  };
}

/** Pieces of other sizes than they were sent in, and now and then a break. */
async function* faultyBody(
  body: AsyncIterable<Uint8Array>,
  { random, faults }: FaultyTransportOptions,
): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    const now = faults();
    const at = Math.floor(random.fraction() * (piece.length + 1));
    yield piece.subarray(0, at);
    if (now !== undefined && random.fraction() < now.cut) {
      throw new TransshipError('ApiUnreachable', 'the body was cut by the test');
    }
    yield piece.subarray(at);
  }
}

function refusal(code: number): KubeResponse {
  const reason = { 429: 'TooManyRequests', 503: 'ServiceUnavailable' }[code] ?? 'InternalError';
  const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason };
  const retry = code === 500 ? {} : { 'retry-after': '1' };
  return {
    status: code,
    headers: { 'content-type': 'application/json', ...retry },
    body: (async function* () {
      yield Buffer.from(JSON.stringify(status));
    })(),
  };
}
