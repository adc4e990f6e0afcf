/** A client of one cluster: single requests, with the repeats that are safe (`exchange.ts`). */
import { assert, fail } from '../base/errors.ts';
import type {
  ApplyOptions,
  DeleteOptions,
  Draft,
  KubeClient,
  KubeConnection,
  Selectors,
} from './api.ts';
import { type Exchange, exchange, exchangeValue } from './exchange.ts';
import { apiVersionOf, type KubeObject, type ObjectKey, type ResourceType } from './objects.ts';
import { isKubeObject, pageItems, readPageThatFits, typed } from './pages.ts';
import { collectionPath, objectPath, queryText, resourceText } from './paths.ts';
import { ApiError, type Asked } from './status-errors.ts';
import type { KubeMethod } from './transport.ts';

export interface KubeClientOptions extends Omit<KubeConnection, 'counts'> {
  /** Who writes, for server-side apply and for `managedFields`. */
  readonly fieldManager: string;
  /** For objects and keys that name none. Lists without a namespace are then of this one. */
  readonly namespace?: string;
  /** `requestTimeMsDefault` when absent. */
  readonly requestTimeMs?: number;
  /** Where requests are counted, when several clients count together. */
  readonly counts?: Map<string, number>;
}

export function createKubeClient(options: KubeClientOptions): KubeClient {
  return new HttpKubeClient(options);
}

const mergePatch = { 'content-type': 'application/merge-patch+json' };
/** JSON is YAML, and all servers know this type. */
const applyPatch = { 'content-type': 'application/apply-patch+yaml' };

/** One write or read of one object. */
interface Call {
  readonly verb: string;
  readonly method: KubeMethod;
  readonly key: ObjectKey;
  readonly subresource?: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

class HttpKubeClient implements KubeClient {
  readonly connection: KubeConnection;
  readonly #fieldManager: string;
  readonly #namespace: string | undefined;
  readonly #timeMs: number | undefined;

  constructor(options: KubeClientOptions) {
    const { cluster, transport, clock, random, log, counts = new Map<string, number>() } = options;
    assert(options.fieldManager !== '', 'a client needs a field manager');
    this.connection = { cluster, transport, clock, random, log, counts };
    this.#fieldManager = options.fieldManager;
    this.#namespace = options.namespace;
    this.#timeMs = options.requestTimeMs;
  }

  get cluster(): string {
    return this.connection.cluster;
  }

  get counts(): ReadonlyMap<string, number> {
    return this.connection.counts;
  }

  async get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): Promise<T | undefined> {
    try {
      return await this.#call(type, { verb: 'get', method: 'GET', key: this.#placed(type, key) });
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async *list<T extends KubeObject>(
    type: ResourceType<T>,
    selectors: Selectors = {},
  ): AsyncGenerator<T> {
    const namespace = selectors.namespace ?? (type.namespaced ? this.#namespace : undefined);
    const scoped = namespace === undefined ? selectors : { ...selectors, namespace };
    let token = '';
    do {
      const request = { selectors: scoped, limit: pageItems, token };
      const page = await readPageThatFits(this.connection, type, request);
      yield* page.items;
      token = page.token;
    } while (token !== '');
  }

  create<T extends KubeObject>(type: ResourceType<T>, object: Draft<T>): Promise<T> {
    const body = this.#whole(type, object);
    const key = { namespace: body.metadata.namespace ?? '', name: body.metadata.name ?? '' };
    const query = { fieldManager: this.#fieldManager };
    return this.#call(type, { verb: 'create', method: 'POST', key, query, body });
  }

  replace<T extends KubeObject>(type: ResourceType<T>, object: T): Promise<T> {
    const body = this.#whole(type, object);
    const key = { namespace: body.metadata.namespace ?? '', name: body.metadata.name ?? '' };
    const query = { fieldManager: this.#fieldManager };
    return this.#call(type, { verb: 'update', method: 'PUT', key, query, body });
  }

  patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Readonly<Record<string, unknown>>,
  ): Promise<T> {
    return this.#call(type, {
      verb: 'patch',
      method: 'PATCH',
      key: this.#placed(type, key),
      query: { fieldManager: this.#fieldManager },
      headers: mergePatch,
      body: patch,
    });
  }

  apply<T extends KubeObject>(
    type: ResourceType<T>,
    object: Draft<T>,
    { force = true, dryRun = false }: ApplyOptions = {},
  ): Promise<T> {
    const body = this.#whole(type, object);
    const only: Record<string, string> = dryRun ? { dryRun: 'All' } : {};
    return this.#call(type, {
      verb: 'apply',
      method: 'PATCH',
      key: { namespace: body.metadata.namespace ?? '', name: body.metadata.name ?? '' },
      query: { fieldManager: this.#fieldManager, force: String(force), ...only },
      headers: applyPatch,
      body,
    });
  }

  patchStatus<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: { readonly metadata?: object; readonly status: object },
  ): Promise<T> {
    return this.#call(type, {
      verb: 'patch',
      method: 'PATCH',
      key: this.#placed(type, key),
      subresource: 'status',
      query: { fieldManager: this.#fieldManager },
      headers: mergePatch,
      body: patch,
    });
  }

  async delete(
    type: ResourceType,
    key: ObjectKey,
    { uid, resourceVersion, propagation, graceSeconds }: DeleteOptions = {},
  ): Promise<boolean> {
    const preconditions = { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
    const body = {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      ...(Object.keys(preconditions).length > 0 && { preconditions }),
      ...(propagation !== undefined && { propagationPolicy: propagation }),
      ...(graceSeconds !== undefined && { gracePeriodSeconds: graceSeconds }),
    };
    try {
      const placed = this.#placed(type, key);
      await this.#send(type, { verb: 'delete', method: 'DELETE', key: placed, body });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.httpStatus === 404) return false;
      throw error;
    }
  }

  async request(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const verb = method === 'GET' ? 'get' : 'create';
    const asking: Exchange = {
      asked: { cluster: this.cluster, verb, resource: path, name: '', namespace: '' },
      method,
      path,
      ...(body === undefined ? {} : { body }),
      ...this.#limits(),
    };
    return exchangeValue(this.connection, asking);
  }

  async #call<T extends KubeObject>(type: ResourceType<T>, call: Call): Promise<T> {
    const asking = this.#asking(type, call);
    const value = await exchangeValue(this.connection, asking);
    if (isKubeObject(value)) return typed(type, value);
    return fail('ApiUnreachable', `cluster ${this.cluster}: the answer is no ${type.kind}`);
  }

  async #send(type: ResourceType, call: Call): Promise<void> {
    await exchange(this.connection, this.#asking(type, call));
  }

  #asking(type: ResourceType, call: Call): Exchange {
    const { key, verb, method, subresource, headers, body } = call;
    const path =
      method === 'POST' ? collectionPath(type, key.namespace) : objectPath(type, key, subresource);
    const sub = subresource === undefined ? '' : `/${subresource}`;
    const asked: Asked = {
      cluster: this.cluster,
      verb,
      resource: `${resourceText(type)}${sub}`,
      ...key,
    };
    return {
      asked,
      method,
      path: `${path}${queryText(call.query ?? {})}`,
      ...(headers === undefined ? {} : { headers }),
      ...(body === undefined ? {} : { body }),
      ...this.#limits(),
    };
  }

  #limits(): Pick<Exchange, 'timeMs'> {
    return this.#timeMs === undefined ? {} : { timeMs: this.#timeMs };
  }

  /** With the namespace that applies when the key names none. */
  #placed(type: ResourceType, key: ObjectKey): ObjectKey {
    if (!type.namespaced) return { namespace: '', name: key.name };
    return key.namespace === '' ? { ...key, namespace: this.#namespace ?? '' } : key;
  }

  #whole<T extends KubeObject>(type: ResourceType<T>, object: Draft<T>): KubeObject {
    const { metadata } = object;
    const { namespace } = this.#placed(type, {
      namespace: metadata.namespace ?? '',
      name: metadata.name ?? '',
    });
    if (type.namespaced && namespace === '') {
      fail('BadArgument', `${type.kind} "${metadata.name ?? ''}" needs a namespace`);
    }
    const { namespace: _given, ...others } = metadata;
    return {
      ...object,
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      metadata: namespace === '' ? others : { ...others, namespace },
    };
  }
}

/** What servers say when the path is unknown, not the object: nobody serves the kind. */
const unknownPath = 'the server could not find the requested resource';

/** The object is not there, although its kind is. */
function isAbsent(error: unknown): boolean {
  if (!(error instanceof ApiError) || error.httpStatus !== 404) return false;
  return error.status !== undefined && error.status.message !== unknownPath;
}
