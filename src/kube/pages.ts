/** Lists in pages (Kubernetes documentation, "Retrieving large results sets in chunks"). */
import { fail, TransshipError } from '../base/errors.ts';
import type { KubeConnection, Selectors } from './api.ts';
import { exchangeValue, pageBytesMax } from './exchange.ts';
import { apiVersionOf, type KubeObject, type ResourceType } from './objects.ts';
import { collectionPath, queryText, resourceText } from './paths.ts';
import type { Asked } from './status-errors.ts';

export const pageItems = 500;

export interface PageRequest {
  readonly selectors: Selectors;
  readonly limit: number;
  /** From the page before; empty for the first. */
  readonly token: string;
  readonly signal?: AbortSignal;
}

export interface Page<T extends KubeObject> {
  readonly items: readonly T[];
  /** Of the whole list: where a watch goes on. */
  readonly version: string;
  /** Empty on the last page. */
  readonly token: string;
}

export function askedList(
  connection: KubeConnection,
  type: ResourceType,
  verb: 'list' | 'watch',
  selectors: Selectors,
): Asked {
  const namespace = selectors.namespace ?? '';
  return { cluster: connection.cluster, verb, resource: resourceText(type), name: '', namespace };
}

/** Objects in lists come without `apiVersion` and `kind` from many servers. */
export function typed<T extends KubeObject>(type: ResourceType<T>, item: object): T {
  return { ...item, apiVersion: apiVersionOf(type), kind: type.kind } as T;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isKubeObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return isObject(value) && isObject(value['metadata']);
}

export async function readPage<T extends KubeObject>(
  connection: KubeConnection,
  type: ResourceType<T>,
  request: PageRequest,
): Promise<Page<T>> {
  const { selectors, limit, token, signal } = request;
  const query = queryText({
    limit,
    continue: token,
    labelSelector: selectors.labels,
    fieldSelector: selectors.fields,
  });
  const value = await exchangeValue(connection, {
    asked: askedList(connection, type, 'list', selectors),
    method: 'GET',
    path: `${collectionPath(type, selectors.namespace)}${query}`,
    bytesMax: pageBytesMax,
    ...(signal === undefined ? {} : { signal }),
  });
  if (!isKubeObject(value)) {
    return fail('ApiUnreachable', `cluster ${connection.cluster}: no list of ${type.plural}`);
  }
  const metadata = value['metadata'] as { resourceVersion?: unknown; continue?: unknown };
  const items = (Array.isArray(value['items']) ? value['items'] : []) as readonly unknown[];
  return {
    items: items.filter(isKubeObject).map((item) => typed(type, item)),
    version: String(metadata.resourceVersion ?? ''),
    token: String(metadata.continue ?? ''),
  };
}

/** The page, in fewer items at once where so many are too large to hold. */
export async function readPageThatFits<T extends KubeObject>(
  connection: KubeConnection,
  type: ResourceType<T>,
  request: PageRequest,
): Promise<Page<T>> {
  for (let limit = request.limit; ; limit = Math.ceil(limit / 8)) {
    try {
      return await readPage(connection, type, { ...request, limit });
    } catch (error) {
      const isTooLarge = error instanceof TransshipError && error.reason === 'LimitExceeded';
      if (!isTooLarge || limit === 1) throw error;
    }
  }
}
