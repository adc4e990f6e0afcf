/**
 * The API of the cluster that a backup was made of, as far as the backup has it: looking at what is
 * restored, and preparing it, are then the same code as for a cluster that is there.
 */
import type { KubeClient } from '../../../kube/api.ts';
import { createKubeClient } from '../../../kube/client.ts';
import type { KubeObject, ResourceType } from '../../../kube/objects.ts';
import type { KubeResponse, KubeTransport } from '../../../kube/transport.ts';
import type { BackupLine } from './content.ts';

/** Asked when something is first wanted of it. */
export type Load = () => Promise<readonly BackupLine[]>;

/** It can be read, and nothing else. Requests fail as `load` does. */
export function savedClient(like: KubeClient, load: Load): KubeClient {
  const { cluster, clock, random, log } = like.connection;
  return createKubeClient({
    cluster,
    clock,
    random,
    log,
    transport: savedTransport(load),
    fieldManager: 'transship',
  });
}

export function savedTransport(load: Load): KubeTransport {
  return async ({ method, path }) => {
    if (method !== 'GET') return answer(405, failure(405, 'MethodNotAllowed'));
    const lines = await load();
    const [place = '', query = ''] = path.split('?');
    if (place === '/api' || place === '/apis') return answer(200, discovery(lines, place));
    const asked = placeOf(place);
    if (asked === undefined) return answer(404, failure(404, 'NotFound'));
    const found = lines.filter(({ type, object }) => isAt(asked, type, object));
    if (asked.name === undefined) return answer(200, pageOf(found, query));
    const [one] = found;
    return one === undefined ? answer(404, failure(404, 'NotFound')) : answer(200, one.object);
  };
}

interface Place {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  /** Undefined: of any. */
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

function placeOf(path: string): Place | undefined {
  const [, root, ...parts] = path.split('/').map(decodeURIComponent);
  if (root !== 'api' && root !== 'apis') return undefined;
  const group = root === 'api' ? '' : (parts.shift() ?? '');
  const version = parts.shift() ?? '';
  const isInside = parts[0] === 'namespaces' && parts.length > 2;
  const namespace = isInside ? parts[1] : undefined;
  const [plural, name, ...more] = isInside ? parts.slice(2) : parts;
  return plural === undefined || more.length > 0
    ? undefined
    : { group, version, plural, namespace, name };
}

function isAt(place: Place, type: ResourceType, { metadata }: KubeObject): boolean {
  return (
    type.plural === place.plural &&
    type.group === place.group &&
    type.version === place.version &&
    (place.namespace === undefined || metadata.namespace === place.namespace) &&
    (place.name === undefined || metadata.name === place.name)
  );
}

function pageOf(found: readonly BackupLine[], query: string): object {
  const asked = new URLSearchParams(query);
  const first = Number(asked.get('continue') ?? 0);
  const limit = Number(asked.get('limit') ?? 0);
  const end = limit > 0 ? first + limit : found.length;
  const more = end < found.length ? { continue: String(end) } : {};
  const items = found.slice(first, end).map(({ object }) => object);
  return { kind: 'List', apiVersion: 'v1', metadata: { resourceVersion: '1', ...more }, items };
}

/** What is in the backup is served; nothing else is known of that cluster. */
function discovery(lines: readonly BackupLine[], root: string): object {
  const types = new Map<string, ResourceType>();
  for (const { type } of lines) {
    if ((type.group === '') === (root === '/api')) {
      types.set(`${type.group}/${type.version}/${type.plural}`, type);
    }
  }
  const groups = Map.groupBy(types.values(), ({ group }) => group);
  const items = [...groups].map(([name, some]) => ({
    metadata: { name },
    versions: [...Map.groupBy(some, ({ version }) => version)].map(([version, those]) => ({
      version,
      resources: those.map(({ plural, kind, namespaced }) => ({
        resource: plural,
        responseKind: { kind },
        scope: namespaced ? 'Namespaced' : 'Cluster',
        verbs: ['get', 'list'],
      })),
    })),
  }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2', items };
}

function failure(code: number, reason: string): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: reason };
}

function answer(status: number, value: object): KubeResponse {
  const headers = { 'content-type': 'application/json' };
  return { status, headers, body: oneOf(Buffer.from(JSON.stringify(value))) };
}

async function* oneOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
