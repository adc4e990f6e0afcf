/** For tests: objects in memory behind a `KubeTransport`, with lists in pages and watches. */
import type { KubeObject } from './objects.ts';
import { jsonResponse, statusObject } from './testing.ts';
import type { KubeRequest, KubeResponse, KubeTransport } from './transport.ts';

interface Logged {
  readonly version: number;
  readonly path: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}

type Fields = Readonly<Record<string, unknown>>;

/** Paths are `/apis/GROUP/VERSION[/namespaces/NS]/PLURAL[/NAME[/SUB]]`. */
export class FakeServer {
  readonly objects = new Map<string, KubeObject>();
  readonly requests: KubeRequest[] = [];
  /** May answer instead of the server, or throw. */
  before: (request: KubeRequest) => Promise<KubeResponse | undefined> | KubeResponse | undefined =
    () => undefined;
  /** Versions up to this one are forgotten. */
  forgotten = 0;
  version = 100;
  #uid = 0;
  #log: Logged[] = [];
  #waiting = new Set<() => void>();

  readonly transport: KubeTransport = async (request) => {
    this.requests.push(request);
    return (await this.before(request)) ?? this.handle(request);
  };

  /** Writes as somebody else would. */
  put<T extends KubeObject>(path: string, object: T): T {
    const before = this.objects.get(path);
    const uid = before?.metadata.uid ?? `uid-${++this.#uid}`;
    const stored = withMeta(object, { uid, resourceVersion: String(++this.version) });
    this.objects.set(path, stored);
    this.#tell(path, before === undefined ? 'ADDED' : 'MODIFIED', stored);
    return stored;
  }

  remove(path: string): void {
    const before = this.objects.get(path);
    if (before === undefined) return;
    this.objects.delete(path);
    this.#tell(path, 'DELETED', withMeta(before, { resourceVersion: String(++this.version) }));
  }

  /** Also ends the memory of what happened: watches from before get 410. */
  forget(): void {
    this.forgotten = this.version;
    this.#log = [];
  }

  #tell(path: string, type: Logged['type'], object: KubeObject): void {
    this.#log.push({ version: this.version, path, type, object });
    for (const wake of this.#waiting) wake();
  }

  handle(request: KubeRequest): KubeResponse {
    const [path = '', query = ''] = request.path.split('?');
    const parameters = new URLSearchParams(query);
    const body = JSON.parse(Buffer.from(request.body ?? []).toString('utf8') || '{}') as Fields;
    const isCollection = path.split('/').length % 2 === (path.startsWith('/apis/') ? 1 : 0);
    if (request.method === 'POST') return this.#create(path, body);
    if (request.method === 'GET' && isCollection) {
      return parameters.has('watch')
        ? this.#watch(path, parameters, request.signal)
        : this.#list(path, parameters);
    }
    return this.#onObject(request, path.replace(/\/status$/, ''), body);
  }

  #create(path: string, body: Fields): KubeResponse {
    const object = body as unknown as KubeObject;
    const place = `${path}/${object.metadata.name ?? ''}`;
    if (this.objects.has(place)) return failure(409, 'AlreadyExists');
    return jsonResponse(201, this.put(place, object));
  }

  #onObject(request: KubeRequest, path: string, body: Fields): KubeResponse {
    const before = this.objects.get(path);
    if (before === undefined) return failure(404, 'NotFound');
    switch (request.method) {
      case 'PUT':
      case 'PATCH': {
        const given = (body['metadata'] ?? {}) as { uid?: string; resourceVersion?: string };
        const { uid, resourceVersion } = before.metadata;
        if ((given.uid ?? uid) !== uid) return failure(409, 'Conflict');
        if ((given.resourceVersion ?? resourceVersion) !== resourceVersion) {
          return failure(409, 'Conflict');
        }
        const next = request.method === 'PUT' ? body : merged(before, body);
        return jsonResponse(200, this.put(path, next as unknown as KubeObject));
      }
      case 'DELETE':
        this.remove(path);
        return jsonResponse(200, { kind: 'Status', apiVersion: 'v1', status: 'Success' });
      default:
        return jsonResponse(200, before);
    }
  }

  #under(path: string): [string, KubeObject][] {
    const all = [...this.objects].filter(([place]) => isUnder(place, path));
    return all.sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** A token is `VERSION:LAST`: the list goes on behind `LAST`. */
  #list(path: string, parameters: URLSearchParams): KubeResponse {
    const limit = Number(parameters.get('limit') ?? '0') || Number.MAX_SAFE_INTEGER;
    const [since = String(this.version), last = ''] = (parameters.get('continue') ?? '').split('|');
    const version = since === '' ? this.version : Number(since);
    if (version < this.forgotten) return failure(410, 'Expired');
    const rest = this.#under(path).filter(([place]) => place > last);
    const page = rest.slice(0, limit);
    const token = rest.length > limit ? `${version}|${page.at(-1)?.[0] ?? ''}` : '';
    return jsonResponse(200, {
      kind: 'List',
      apiVersion: 'v1',
      metadata: { resourceVersion: String(version), continue: token },
      items: page.map(([, object]) => withoutKind(object)),
    });
  }

  #watch(path: string, parameters: URLSearchParams, signal: AbortSignal | undefined): KubeResponse {
    const from = Number(parameters.get('resourceVersion') ?? '0');
    if (from < this.forgotten) return failure(410, 'Expired');
    return { status: 200, headers: {}, body: this.#events(path, from, signal) };
  }

  async *#events(
    path: string,
    from: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    let version = from;
    while (signal?.aborted !== true) {
      const next = this.#log.filter((one) => one.version > version);
      for (const { type, object, path: place } of next) {
        if (isUnder(place, path)) yield eventLine(type, object);
      }
      version = next.at(-1)?.version ?? version;
      if (next.length === 0) await this.#change(signal);
    }
    throw new Error('aborted');
  }

  #change(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal?.addEventListener('abort', wake);
    });
  }
}

export function eventLine(type: string, object: object): Uint8Array {
  return Buffer.from(`${JSON.stringify({ type, object })}\n`);
}

function isUnder(place: string, collection: string): boolean {
  const plural = collection.slice(collection.lastIndexOf('/') + 1);
  const root = collection.slice(0, collection.lastIndexOf('/'));
  return place.startsWith(`${root}/`) && place.split('/').at(-2) === plural;
}

function failure(code: number, reason: string): KubeResponse {
  return jsonResponse(code, statusObject(code, reason, { message: `${reason} it is` }));
}

function withMeta<T extends KubeObject>(object: T, more: object): T {
  return { ...object, metadata: { ...object.metadata, ...more } };
}

function withoutKind({ kind: _kind, apiVersion: _apiVersion, ...others }: KubeObject): object {
  return others;
}

/** RFC 7386. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isMapping = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result: Record<string, unknown> = isMapping ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = merged(result[name], value);
  }
  return result;
}
