/** What a server is and which kinds it serves (Kubernetes documentation, "Discovery API"). */
import { TransshipError } from '../base/errors.ts';
import type { KubeClient } from './api.ts';
import { exchangeValue } from './exchange.ts';
import { isStatus } from './status-errors.ts';

/** Definitions of new kinds come and go; what was asked is believed for so long. */
const freshMs = 60_000;

const aggregated =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

export interface ServerVersion {
  readonly major: string;
  readonly minor: string;
  /** `v1.36.3`. */
  readonly gitVersion: string;
  readonly platform?: string;
}

export interface ServedResource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  /** `status`, `scale`, … */
  readonly subresources: readonly string[];
}

export interface Discovery {
  version(): Promise<ServerVersion>;
  /** In the server's order: the preferred version of a group is first. */
  resources(): Promise<readonly ServedResource[]>;
  /** The group, version and plural are there. */
  serves(type: Pick<ServedResource, 'group' | 'version' | 'plural'>): Promise<boolean>;
  /** The preferred version of a kind; undefined when it is not served. */
  find(group: string, kind: string): Promise<ServedResource | undefined>;
  /** The next question goes to the server again. */
  forget(): void;
}

export function createDiscovery(client: KubeClient): Discovery {
  const { clock } = client.connection;
  let known:
    | { readonly atMs: number; readonly resources: Promise<readonly ServedResource[]> }
    | undefined;
  const resources = (): Promise<readonly ServedResource[]> => {
    const nowMs = clock.monotonicMs();
    if (known !== undefined && nowMs - known.atMs < freshMs) return known.resources;
    const asked = { atMs: nowMs, resources: readResources(client) };
    known = asked;
    asked.resources.catch(() => {
      if (known === asked) known = undefined;
    });
    return asked.resources;
  };
  return {
    version: () => readVersion(client),
    resources,
    serves: async ({ group, version, plural }) =>
      (await resources()).some(
        (one) => one.group === group && one.version === version && one.plural === plural,
      ),
    find: async (group, kind) =>
      (await resources()).find((one) => one.group === group && one.kind === kind),
    forget: () => {
      known = undefined;
    },
  };
}

async function readVersion(client: KubeClient): Promise<ServerVersion> {
  const fields = fieldsOf(await client.request('GET', '/version'));
  const platform = fields['platform'];
  return {
    major: textOf(fields, 'major'),
    minor: textOf(fields, 'minor'),
    gitVersion: textOf(fields, 'gitVersion'),
    ...(typeof platform === 'string' && { platform }),
  };
}

async function readResources(client: KubeClient): Promise<readonly ServedResource[]> {
  const roots = await Promise.all(['/api', '/apis'].map((root) => readRoot(client, root)));
  return roots.flat();
}

/** All at once where the server knows how, else group by group. */
async function readRoot(client: KubeClient, root: string): Promise<readonly ServedResource[]> {
  const value = await exchangeValue(client.connection, {
    asked: { cluster: client.cluster, verb: 'get', resource: root, name: '', namespace: '' },
    method: 'GET',
    path: root,
    headers: { accept: aggregated },
  });
  const answer = fieldsOf(value);
  switch (answer['kind']) {
    case 'APIGroupDiscoveryList':
      return listOf(answer, 'items').flatMap(aggregatedGroup);
    case 'APIVersions': {
      const versions = Array.isArray(answer['versions']) ? answer['versions'].map(String) : [];
      return readVersions(
        client,
        versions.map((version) => `${root}/${version}`),
      );
    }
    case 'APIGroupList':
      return readVersions(
        client,
        listOf(answer, 'groups').flatMap((group) => legacyPaths(root, group)),
      );
    default:
      throw new TransshipError(
        'ApiUnreachable',
        `cluster ${client.cluster}: the answer to ${root} is no discovery document`,
      );
  }
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !isStatus(value) ? (value as Fields) : {};
}

function listOf(fields: Fields, name: string): readonly Fields[] {
  const list = fields[name];
  return Array.isArray(list) ? list.map(fieldsOf) : [];
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value : '';
}

function textsOf(fields: Fields, name: string): readonly string[] {
  const list = fields[name];
  return Array.isArray(list) ? list.filter((one) => typeof one === 'string') : [];
}

function aggregatedGroup(group: Fields): readonly ServedResource[] {
  const name = textOf(fieldsOf(group['metadata']), 'name');
  return listOf(group, 'versions').flatMap((version) =>
    listOf(version, 'resources').map((resource) => ({
      group: name,
      version: textOf(version, 'version'),
      plural: textOf(resource, 'resource'),
      kind: textOf(fieldsOf(resource['responseKind']), 'kind'),
      namespaced: resource['scope'] === 'Namespaced',
      verbs: textsOf(resource, 'verbs'),
      shortNames: textsOf(resource, 'shortNames'),
      subresources: listOf(resource, 'subresources').map((one) => textOf(one, 'subresource')),
    })),
  );
}

/** The preferred version first. */
function legacyPaths(root: string, group: Fields): readonly string[] {
  const preferred = textOf(fieldsOf(group['preferredVersion']), 'groupVersion');
  const others = listOf(group, 'versions').map((version) => textOf(version, 'groupVersion'));
  return [...new Set([preferred, ...others])]
    .filter((groupVersion) => groupVersion !== '')
    .map((groupVersion) => `${root}/${groupVersion}`);
}

async function readVersions(
  client: KubeClient,
  paths: readonly string[],
): Promise<readonly ServedResource[]> {
  const all: ServedResource[] = [];
  for (const path of paths) {
    try {
      all.push(...legacyVersion(fieldsOf(await client.request('GET', path))));
    } catch (error) {
      // An extension server that is down must not hide what the others serve.
      const reason = error instanceof TransshipError ? error.reason : undefined;
      if (reason !== 'ApiFailed' && reason !== 'NotFound') throw error;
      client.connection.log.log('warn', `discovery of ${path} failed`, { cluster: client.cluster });
    }
  }
  return all;
}

function legacyVersion(list: Fields): readonly ServedResource[] {
  const [first = '', second] = textOf(list, 'groupVersion').split('/');
  const [group, version] = second === undefined ? ['', first] : [first, second];
  const entries = listOf(list, 'resources');
  const names = entries.map((entry) => textOf(entry, 'name'));
  return entries
    .filter((entry) => !textOf(entry, 'name').includes('/'))
    .map((entry) => {
      const plural = textOf(entry, 'name');
      const prefix = `${plural}/`;
      return {
        group,
        version,
        plural,
        kind: textOf(entry, 'kind'),
        namespaced: entry['namespaced'] === true,
        verbs: textsOf(entry, 'verbs'),
        shortNames: textsOf(entry, 'shortNames'),
        subresources: names
          .filter((name) => name.startsWith(prefix))
          .map((name) => name.slice(prefix.length)),
      };
    });
}
