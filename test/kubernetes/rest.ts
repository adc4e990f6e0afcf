/** One user's way to one API server: requests that answer with parsed JSON, and watches. */
import assert from 'node:assert/strict';
import type { KubeMethod, KubeResponse, KubeTransport } from '../../src/kube/transport.ts';
import { at, type Doc, has, textAt } from './document.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** Parsed, where it is JSON. */
  readonly body: Doc;
}

export const patchTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export interface SendOptions {
  readonly accept?: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Rest {
  send(method: KubeMethod, path: string, body?: unknown, options?: SendOptions): Promise<Answer>;
  /** These fail the case unless the answer is a success. */
  get(path: string, options?: SendOptions): Promise<Doc>;
  post(path: string, body: unknown): Promise<Doc>;
  put(path: string, body: unknown): Promise<Doc>;
  delete(path: string, options?: Doc): Promise<Doc>;
  patch(path: string, patch: unknown, type?: keyof typeof patchTypes): Promise<Doc>;
  /** Server-side apply. */
  apply(path: string, manager: string, object: unknown): Promise<Doc>;
  watch(path: string, options?: SendOptions): Promise<Watch>;
}

export interface WatchEvent {
  readonly type: string;
  readonly object: Doc;
}

/** Ends with the case that began it. */
export interface Watch {
  /** The next event; undefined: the server ended the watch. */
  next(): Promise<WatchEvent | undefined>;
  /** Events up to one that fits, this one included. */
  until(fits: (event: WatchEvent) => boolean): Promise<readonly WatchEvent[]>;
  close(): void;
}

const answerMs = 20_000;

async function textOf(response: KubeResponse): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of response.body) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

function parsed(text: string): Doc {
  try {
    return JSON.parse(text) as Doc;
  } catch {
    return {};
  }
}

async function* linesOf(response: KubeResponse): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const part of response.body) {
    const lines = (rest + decoder.decode(part, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line !== '');
  }
}

function watchOf(response: KubeResponse, controller: AbortController): Watch {
  const lines = linesOf(response);
  const next = async (): Promise<WatchEvent | undefined> => {
    const timer = setTimeout(() => controller.abort(new Error('no event came')), answerMs);
    try {
      const { value, done } = await lines.next();
      return done === true ? undefined : (JSON.parse(value) as WatchEvent);
    } finally {
      clearTimeout(timer);
    }
  };
  const until = async (fits: (event: WatchEvent) => boolean): Promise<readonly WatchEvent[]> => {
    const events: WatchEvent[] = [];
    for (;;) {
      const event = await next();
      assert.ok(event !== undefined, `the watch ended after ${JSON.stringify(events)}`);
      events.push(event);
      if (fits(event)) return events;
    }
  };
  return { next, until, close: () => controller.abort(new Error('closed')) };
}

export function makeRest(transport: KubeTransport, ended: AbortSignal): Rest {
  const exchange = async (
    method: KubeMethod,
    path: string,
    body: unknown,
    { accept = 'application/json', type = 'application/json', headers = {} }: SendOptions,
  ): Promise<{ response: KubeResponse; controller: AbortController }> => {
    const controller = new AbortController();
    ended.addEventListener('abort', () => controller.abort(), { signal: controller.signal });
    const content = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await transport({
      method,
      path,
      headers: { accept, ...(body === undefined ? {} : { 'content-type': type }), ...headers },
      ...(body === undefined ? {} : { body: Buffer.from(content) }),
      signal: controller.signal,
    });
    return { response, controller };
  };
  const send: Rest['send'] = async (method, path, body, options = {}) => {
    const { response } = await exchange(method, path, body, options);
    const text = await textOf(response);
    return { status: response.status, headers: response.headers, text, body: parsed(text) };
  };
  const good = async (
    method: KubeMethod,
    path: string,
    body?: unknown,
    options: SendOptions = {},
  ): Promise<Doc> => {
    const answer = await send(method, path, body, options);
    const isGood = answer.status >= 200 && answer.status < 300;
    assert.ok(isGood, `${method} ${path}: ${answer.status} ${answer.text.slice(0, 600)}`);
    return answer.body;
  };
  return {
    send,
    get: (path, options) => good('GET', path, undefined, options),
    post: (path, body) => good('POST', path, body),
    put: (path, body) => good('PUT', path, body),
    delete: (path, options) => good('DELETE', path, options),
    patch: (path, patch, type = 'merge') => good('PATCH', path, patch, { type: patchTypes[type] }),
    apply: (path, manager, object) =>
      good('PATCH', withQuery(path, `fieldManager=${manager}`), object, { type: patchTypes.apply }),
    watch: async (path, options = {}) => {
      const { response, controller } = await exchange(
        'GET',
        withQuery(path, 'watch=1'),
        undefined,
        options,
      );
      if (response.status !== 200) assert.fail(`${response.status} ${await textOf(response)}`);
      return watchOf(response, controller);
    },
  };
}

export function withQuery(path: string, query: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}${query}`;
}

/** The answer is this refusal, with these words. */
export function refused(
  answer: Answer,
  code: number,
  reason: string,
  message?: string | RegExp,
): void {
  assert.equal(answer.status, code, answer.text.slice(0, 600));
  has(answer.body, {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    code,
    reason,
  });
  if (typeof message === 'string') assert.equal(textAt(answer.body, 'message'), message);
  else if (message !== undefined) assert.match(textAt(answer.body, 'message'), message);
}

/** Names of a list's items, in its order. */
export function namesOf(list: Doc): readonly string[] {
  const items = (at(list, 'items') ?? []) as readonly Doc[];
  return items.map((item) => textAt(item, 'metadata.name'));
}
