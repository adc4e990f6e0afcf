/**
 * For tests: time that is moved by hand, seen through clocks that disagree, and a small API server
 * in memory whose answers and watches can be broken at any byte.
 */
import type { Clock, Log, Random, Timer } from '../base/ports.ts';
import { createKubeClient } from './client.ts';
import type { KubeClient, KubeConnection } from './api.ts';
import type { KubeObject, ResourceType } from './objects.ts';
import type { KubeRequest, KubeResponse, KubeTransport } from './transport.ts';

interface Alarm {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** One timeline. Machines share it, but not the time on their walls. */
export class TestTime {
  nowMs = 0;
  /** Called after each step of time: for what must hold always. */
  check: () => void = () => undefined;
  #order = 0;
  readonly #alarms = new Set<Alarm>();

  clock(wallSkewMs = 0, bootedMs = 0): Clock {
    return {
      wallMs: () => 1_700_000_000_000 + wallSkewMs + this.nowMs,
      monotonicMs: () => bootedMs + this.nowMs,
      after: (ms, run) => this.#after(ms, run),
    };
  }

  #after(ms: number, run: () => void): Timer {
    const alarm = { atMs: this.nowMs + Math.max(0, ms), order: this.#order++, run };
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  get timers(): number {
    return this.#alarms.size;
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    await this.settle();
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#alarms.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      await this.settle();
      this.check();
    }
    this.nowMs = untilMs;
  }

  #next(untilMs: number): Alarm | undefined {
    let next: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.atMs > untilMs) continue;
      if (next === undefined || alarm.atMs < next.atMs) next = alarm;
    }
    return next;
  }

  /** Lets promises that wait for no timer run on. */
  async settle(): Promise<void> {
    for (let i = 0; i < 100; i++) await Promise.resolve();
  }

  /** Moves on until it is so. */
  async until(isSo: () => boolean, withinMs = 600_000): Promise<void> {
    const untilMs = this.nowMs + withinMs;
    for (await this.settle(); !isSo(); ) {
      if (this.nowMs >= untilMs) throw new Error(`not so within ${withinMs} ms: ${isSo}`);
      const nextMs = Math.min(...[...this.#alarms].map(({ atMs }) => atMs));
      await this.advance(Number.isFinite(nextMs) ? Math.max(0, nextMs - this.nowMs) : 1000);
      await this.settle();
    }
  }

  /** Moves on until the promise is settled. */
  async finish<T>(promise: Promise<T>, withinMs?: number): Promise<T> {
    let isDone = false;
    const ended = promise.catch(() => undefined);
    void ended.then(() => {
      isDone = true;
    });
    await this.until(() => isDone, withinMs);
    return promise;
  }
}

export function testRandom(seed = 1): Random {
  let state = Math.imul(seed, 2_654_435_761) >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)),
    fraction: next,
  };
}

export interface Logged {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class RecordingLog implements Log {
  readonly lines: Logged[] = [];

  log(level: string, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.lines.push({ level, message, fields });
  }
}

export interface Thing extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

export const things: ResourceType<Thing> = {
  group: 'test.dev',
  version: 'v1',
  plural: 'things',
  kind: 'Thing',
  namespaced: true,
};

export function thing(name: string, more: Partial<Thing> = {}): Thing {
  const { metadata, ...others } = more;
  return {
    apiVersion: 'test.dev/v1',
    kind: 'Thing',
    metadata: { namespace: 'ns', name, ...metadata },
    ...others,
  };
}

export interface TestConnection extends KubeConnection {
  readonly log: RecordingLog;
}

export function testConnection(time: TestTime, transport: KubeTransport, seed = 1): TestConnection {
  const clock = time.clock();
  const random = testRandom(seed);
  const counts = new Map<string, number>();
  return { cluster: 'east', transport, clock, random, log: new RecordingLog(), counts };
}

export function testClient(time: TestTime, transport: KubeTransport, seed = 1): KubeClient {
  return createKubeClient({ ...testConnection(time, transport, seed), fieldManager: 'test' });
}

export function jsonResponse(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): KubeResponse {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return textResponse(status, text, { 'content-type': 'application/json', ...headers });
}

export function textResponse(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): KubeResponse {
  return { status, headers, body: piecesOf([Buffer.from(text)]) };
}

/** The pieces, then the end; an error among them breaks the body there. */
export async function* piecesOf(pieces: Iterable<Uint8Array | Error>): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    if (piece instanceof Error) throw piece;
    yield piece;
  }
}

export function statusObject(code: number, reason: string, more: object = {}): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, ...more };
}

/** Answers each request with the next of the answers; the last one goes on for ever. */
export function scripted(
  ...answers: readonly ((request: KubeRequest) => KubeResponse | Promise<KubeResponse>)[]
): KubeTransport & { readonly requests: KubeRequest[] } {
  const requests: KubeRequest[] = [];
  const transport: KubeTransport = async (request) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)];
    requests.push(request);
    if (answer === undefined) throw new Error('there is no answer');
    return answer(request);
  };
  return Object.assign(transport, { requests });
}
