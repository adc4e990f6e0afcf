/** A server without a disk, and short ways to ask it: for tests of this folder and its users. */
import type { Clock, Log, Random, Timer } from '../../base/ports.ts';
import type { KubeMethod, KubeRequest } from '../../kube/transport.ts';
import type { JsonObject, SchemaLibrary } from '../schema/api.ts';
import type { ApiServer, ApiServerOptions, Persistence, StoredChange, UserInfo } from './api.ts';
import { isObject } from './json.ts';
import { createApiServer } from './server.ts';

/** Keeps what was committed, so that a second server can start from it. */
export class MemoryPersistence implements Persistence {
  readonly entries = new Map<string, StoredChange>();
  version = 0;
  /** Called before each commit; may throw to refuse it. */
  beforeCommit: (changes: readonly StoredChange[]) => void = () => undefined;

  load(): { readonly version: number; readonly changes: Iterable<StoredChange> } {
    return { version: this.version, changes: [...this.entries.values()] };
  }

  commit(changes: readonly StoredChange[]): void {
    this.beforeCommit(changes);
    for (const change of changes) {
      if (change.body === undefined) this.entries.delete(change.key);
      else this.entries.set(change.key, change);
      this.version = change.version;
    }
  }

  close(): void {
    // Nothing is open.
  }
}

/** Time that moves when a test says so; waits of no time at all are over at once. */
export class TestClock implements Clock {
  #nowMs = Date.UTC(2026, 0, 1);
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];

  wallMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(ms: number, run: () => void): Timer {
    if (ms <= 0) {
      queueMicrotask(run);
      return { cancel: () => undefined };
    }
    const timer = { atMs: this.#nowMs + ms, run };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((one) => one !== timer)) };
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { run } of due) run();
  }
}

/** Repeatable, and never the same twice within a test. */
export function countingRandom(): Random {
  let count = 1;
  const next = (): number => {
    count = (Math.imul(count, 1_664_525) + 1_013_904_223) >>> 0;
    return count / 2 ** 32;
  };
  return {
    bytes: (size) => Uint8Array.from({ length: size }, () => Math.floor(next() * 256)),
    fraction: next,
  };
}

const silent: Log = { log: () => undefined };

export const admin: UserInfo = { name: 'admin', groups: ['system:masters'] };

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The body as an object; empty when it is something else. */
  readonly object: JsonObject;
}

export interface Asking {
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly user?: UserInfo;
}

export interface TestServer {
  readonly server: ApiServer;
  readonly clock: TestClock;
  readonly persistence: MemoryPersistence;
  ask(method: KubeMethod, path: string, asking?: Asking): Promise<Answer>;
  /** Lines of a watch, as they come. */
  watch(path: string, asking?: Asking): AsyncIterator<JsonObject>;
}

export function startTestServer(
  options: Partial<ApiServerOptions> & { readonly library: SchemaLibrary },
): TestServer {
  const clock = new TestClock();
  const persistence = new MemoryPersistence();
  const server = createApiServer({
    clock,
    random: countingRandom(),
    log: silent,
    persistence,
    ...options,
  });
  return {
    server,
    clock,
    persistence,
    ask: (method, path, asking = {}) => ask(server, requestOf(method, path, asking), asking),
    watch: (path, asking = {}) => watchLines(server, requestOf('GET', path, asking), asking),
  };
}

function requestOf(method: KubeMethod, path: string, { body, headers }: Asking): KubeRequest {
  const text = typeof body === 'object' ? JSON.stringify(body) : body;
  return {
    method,
    path,
    headers: { ...(text === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(text === undefined ? {} : { body: new TextEncoder().encode(text) }),
  };
}

async function ask(server: ApiServer, request: KubeRequest, asking: Asking): Promise<Answer> {
  const response = await server.handle(request, asking.user ?? admin);
  const parts: Uint8Array[] = [];
  for await (const part of response.body) parts.push(part);
  const text = Buffer.concat(parts).toString('utf8');
  const isJson = response.headers['content-type'] === 'application/json' && text !== '';
  const value: unknown = isJson ? JSON.parse(text) : undefined;
  const { status, headers } = response;
  return { status, headers, text, object: isObject(value) ? value : {} };
}

async function* watchLines(
  server: ApiServer,
  request: KubeRequest,
  asking: Asking,
): AsyncGenerator<JsonObject, void, undefined> {
  const response = await server.handle(request, asking.user ?? admin);
  let rest = '';
  for await (const part of response.body) {
    const lines = (rest + Buffer.from(part).toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const value: unknown = JSON.parse(line);
      if (isObject(value)) yield value;
    }
  }
}
