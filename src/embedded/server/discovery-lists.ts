/** Discovery documents: groups, versions and resources (Kubernetes, "Discovery API"). */
import type { ServedResource } from '../schema/api.ts';
import type { Registry } from './registry.ts';

const allVerbs = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
];

export function versions(): object {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '' }],
  };
}

export function groupList(registry: Registry): object {
  const names = new Set(registry.all().map(({ group }) => group));
  names.delete('');
  const groups = [...names].map((name) => groupParts(registry, name));
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

export function groupOf(registry: Registry, name: string): object | undefined {
  if (!registry.all().some(({ group }) => group === name)) return undefined;
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupParts(registry, name) };
}

function groupParts(registry: Registry, name: string): object {
  const resources = registry.all().filter(({ group }) => group === name);
  const list = sortedVersions(resources).map((version) => ({
    groupVersion: `${name}/${version}`,
    version,
  }));
  return { name, versions: list, preferredVersion: list[0] };
}

/** Stable before beta before alpha, newer before older. */
export function sortedVersions(resources: readonly ServedResource[]): readonly string[] {
  const names = [...new Set(resources.map(({ version }) => version))];
  return names.toSorted((a, b) => rank(b) - rank(a) || (a < b ? -1 : 1));
}

function rank(version: string): number {
  const found = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (found === null) return -1;
  const [, major, stage, minor] = found;
  const level = stage === undefined ? 2 : stage === 'beta' ? 1 : 0;
  return level * 1e6 + Number(major) * 1e3 + Number(minor ?? 0);
}

export function resourceList(
  registry: Registry,
  group: string,
  version: string,
): object | undefined {
  const found = registry.all().filter((one) => one.group === group && one.version === version);
  if (found.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    ...(group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: found.flatMap(entriesOf),
  };
}

function entriesOf(resource: ServedResource): readonly object[] {
  const { plural, singular, namespaced, kind, shortNames, categories } = resource;
  const main = {
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    verbs: allVerbs,
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
  };
  if (!resource.subresources.status) return [main];
  const verbs = ['get', 'patch', 'update'];
  return [main, { name: `${plural}/status`, singularName: '', namespaced, kind, verbs }];
}
