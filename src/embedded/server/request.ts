/** What a request asks for, from its method, path and query (Kubernetes, "RequestInfo"). */
import type { KubeRequest } from '../../kube/transport.ts';
import { badRequest } from './status.ts';

export type Verb =
  | 'get'
  | 'list'
  | 'watch'
  | 'create'
  | 'update'
  | 'patch'
  | 'delete'
  | 'deletecollection';

export interface RequestInfo {
  readonly request: KubeRequest;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Undefined when the path is not one of a resource: discovery, health. */
  readonly target: Target | undefined;
}

export interface Target {
  readonly verb: Verb;
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** Empty: none, or all of them. */
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
}

export function parseRequest(request: KubeRequest): RequestInfo {
  const at = request.path.indexOf('?');
  const path = at < 0 ? request.path : request.path.slice(0, at);
  const query = new URLSearchParams(at < 0 ? '' : request.path.slice(at + 1));
  return { request, path, query, target: targetOf(request, path, query) };
}

function targetOf(request: KubeRequest, path: string, query: URLSearchParams): Target | undefined {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decode);
  const isCore = parts[0] === 'api';
  if (!isCore && parts[0] !== 'apis') return undefined;
  const group = isCore ? '' : (parts[1] ?? '');
  const version = parts[isCore ? 1 : 2];
  const all = parts.slice(isCore ? 2 : 3);
  // The older path of watches: `/api/v1/watch/namespaces/…`.
  const isWatch = all[0] === 'watch' && all.length > 1;
  const rest = isWatch ? all.slice(1) : all;
  if (version === undefined || rest.length === 0) return undefined;
  const place = placeOf(rest);
  if (place === undefined) return undefined;
  const verb = verbOf(request, place, query);
  const isRead = verb === 'get' || verb === 'list';
  return { verb: isWatch && isRead ? 'watch' : verb, group, version, ...place };
}

type Place = Omit<Target, 'verb' | 'group' | 'version'>;

/** The sub-resources that namespaces themselves have. */
const ofNamespaces: ReadonlySet<string> = new Set(['status', 'finalize']);

function placeOf(rest: readonly string[]): Place | undefined {
  const isInNamespace =
    rest[0] === 'namespaces' && rest.length > 2 && !ofNamespaces.has(rest[2] ?? '');
  const namespace = isInNamespace ? (rest[1] ?? '') : '';
  const [plural, name, subresource, ...more] = isInNamespace ? rest.slice(2) : rest;
  if (plural === undefined || more.length > 0) return undefined;
  return { plural, namespace, name: name ?? '', subresource: subresource ?? '' };
}

function verbOf({ method }: KubeRequest, place: Place, query: URLSearchParams): Verb {
  if (method === 'POST') return 'create';
  if (method === 'PUT') return 'update';
  if (method === 'PATCH') return 'patch';
  if (method === 'DELETE') return place.name === '' ? 'deletecollection' : 'delete';
  if (isTrue(query.get('watch'))) return 'watch';
  return place.name === '' ? 'list' : 'get';
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw badRequest(`the path has a part that is not encoded well: ${part}`);
  }
}

/** As Go reads booleans; `?watch` alone counts. */
export function isTrue(value: string | null): boolean {
  return value !== null && !['', '0', 'f', 'F', 'false', 'False', 'FALSE'].includes(value);
}

/** A whole number that is not negative, or undefined when the parameter is absent. */
export function countParameter(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    throw badRequest(`invalid value ${JSON.stringify(text)} for ${name}: must be a whole number`);
  }
  return Number(text);
}
