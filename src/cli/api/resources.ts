/** Which resource a person means by `teleports`, `tp`, `pvc` or `deployments.apps`. */
import { fail } from '../../base/errors.ts';
import { printable } from '../../base/names.ts';
import type { KubeClient } from '../../kube/api.ts';
import type { ResourceType } from '../../kube/objects.ts';

interface ApiResource {
  readonly name: string;
  readonly singularName?: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly shortNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface ResourceList {
  readonly groupVersion: string;
  readonly resources?: readonly ApiResource[];
}

interface GroupList {
  readonly groups?: readonly {
    readonly name: string;
    readonly preferredVersion: { readonly groupVersion: string };
  }[];
}

/** All resources in their preferred versions, as the server lists them. */
export async function allResources(client: KubeClient): Promise<readonly Named[]> {
  const { groups = [] } = (await client.request('GET', '/apis')) as GroupList;
  const paths = ['/api/v1', ...groups.map((one) => `/apis/${one.preferredVersion.groupVersion}`)];
  const lists = await Promise.all(paths.map(async (path) => resourcesAt(client, path)));
  return lists.flat();
}

export interface Named {
  readonly type: ResourceType;
  readonly names: readonly string[];
}

async function resourcesAt(client: KubeClient, path: string): Promise<readonly Named[]> {
  const list = (await client.request('GET', path)) as ResourceList;
  const [first = '', second] = list.groupVersion.split('/');
  const [group, version] = second === undefined ? ['', first] : [first, second];
  return (list.resources ?? [])
    .filter(({ name, verbs }) => !name.includes('/') && verbs.includes('get'))
    .map((resource) => {
      const { name: plural, kind, namespaced, shortNames = [], singularName = '' } = resource;
      const names = [plural, singularName, kind, ...shortNames].map((name) => name.toLowerCase());
      return { type: { group, version, plural, kind, namespaced }, names };
    });
}

/** `BadArgument` when the server has nothing by that name. */
export async function findResource(client: KubeClient, word: string): Promise<ResourceType> {
  const [name = '', ...rest] = word.toLowerCase().split('.');
  const wanted = rest.join('.');
  const known = await allResources(client);
  const fits = ({ type, names }: Named) =>
    names.includes(name) && (wanted === '' || type.group.startsWith(wanted));
  // Ours first: `volumes` are never somebody else's here.
  const found = known.filter(fits).toSorted((a, b) => rank(a) - rank(b))[0];
  if (found !== undefined) return found.type;
  const remedy = 'see transship get --help, or kubectl api-resources';
  return fail('BadArgument', `cluster ${client.cluster} has no kind ${printable(word)}; ${remedy}`);
}

/** Groups in the order in which a plain name is looked up. */
function rank({ type }: Named): number {
  const order = ['transship.dev', '', 'apps', 'batch'].indexOf(type.group);
  return order < 0 ? order + 100 : order;
}

/** The resource of a manifest's `apiVersion` and `kind`. */
export async function resourceOfManifest(
  client: KubeClient,
  manifest: { readonly apiVersion: string; readonly kind: string },
): Promise<ResourceType> {
  const { apiVersion, kind } = manifest;
  const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const served = await resourcesAt(client, path).catch(() => []);
  const found = served.find(({ type }) => type.kind === kind);
  if (found !== undefined) return found.type;
  const what = `${printable(kind)} of ${printable(apiVersion)}`;
  return fail('BadArgument', `cluster ${client.cluster} has no kind ${what}`);
}
