/** Discovery documents: groups, versions and resources (Kubernetes, "Discovery API"). */
import { createHash } from 'node:crypto';
import type { ServedResource } from '../schema/api.ts';
import type { Registry } from './registry.ts';
import { type ReviewKind, reviewKinds } from './reviews.ts';
import { subresourcesOf } from './subresources.ts';

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
  const names = new Set([...registry.all(), ...reviewKinds].map(({ group }) => group));
  names.delete('');
  const groups = [...names].map((name) => groupParts(registry, name));
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

export function groupOf(registry: Registry, name: string): object | undefined {
  if (![...registry.all(), ...reviewKinds].some(({ group }) => group === name)) return undefined;
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupParts(registry, name) };
}

function groupParts(registry: Registry, name: string): object {
  const resources = [...registry.all(), ...reviewKinds].filter(({ group }) => group === name);
  const list = sortedVersions(resources).map((version) => ({
    groupVersion: `${name}/${version}`,
    version,
  }));
  return { name, versions: list, preferredVersion: list[0] };
}

/** Stable before beta before alpha, newer before older. */
export function sortedVersions(
  resources: readonly { readonly version: string }[],
): readonly string[] {
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
  const isOfIt = (one: Discovered): boolean => one.group === group && one.version === version;
  const found = registry.all().filter(isOfIt);
  const reviews = reviewKinds.filter(isOfIt);
  if (found.length === 0 && reviews.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    ...(group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: [...found.flatMap(entriesOf), ...reviews.map(reviewEntry)],
  };
}

function entriesOf(resource: ServedResource): readonly object[] {
  const { plural, singular, namespaced, kind, shortNames, categories } = resource;
  const main = {
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    verbs: verbsOf(resource),
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    storageVersionHash: storageHash(resource),
  };
  const subs = subresourcesOf(resource).map((sub) => ({
    name: `${plural}/${sub.name}`,
    singularName: '',
    namespaced,
    ...(sub.kind === undefined ? { kind } : sub.kind),
    verbs: sub.verbs,
  }));
  return [main, ...subs];
}

const noCollections: ReadonlySet<string> = new Set(['/namespaces']);

/** In the order in which a real server says them of defined kinds. */
const definedVerbs = [
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'create',
  'update',
  'watch',
];

function verbsOf({ group, plural, builtIn }: ServedResource): readonly string[] {
  if (!builtIn) return definedVerbs;
  if (!noCollections.has(`${group}/${plural}`)) return allVerbs;
  return allVerbs.filter((verb) => verb !== 'deletecollection');
}

function storageHash({ group, version, kind }: ServedResource): string {
  const text = `${group}/${version}/${kind}`;
  return createHash('sha256').update(text).digest().subarray(0, 8).toString('base64');
}

function reviewEntry(review: ReviewKind): object {
  const { plural: name, singular: singularName, namespaced, kind } = review;
  return { name, singularName, namespaced, kind, verbs: ['create'] };
}

/** Everything at once (apidiscovery.k8s.io): of the core group, or of all the others. */
export function aggregated(registry: Registry, isCore: boolean, version: string): object {
  const all: readonly Discovered[] = [...registry.all(), ...reviewKinds];
  const groups = Map.groupBy(all, ({ group }) => group);
  const items = [...groups].filter(([name]) => (name === '') === isCore);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: items.map(([name, resources]) => ({
      metadata: name === '' ? {} : { name, creationTimestamp: null },
      versions: sortedVersions(resources).map((one) => ({
        version: one,
        resources: resources.filter((resource) => resource.version === one).map(aggregatedEntry),
        freshness: 'Current',
      })),
    })),
  };
}

type Discovered = ServedResource | ReviewKind;

function aggregatedEntry(resource: Discovered): object {
  const { group, version, kind, plural, singular, namespaced } = resource;
  // Of what is built in, only the kind is said.
  const isDefined = 'builtIn' in resource && !resource.builtIn;
  const responseKind = isDefined ? { group, version, kind } : { group: '', version: '', kind };
  const main = {
    resource: plural,
    responseKind,
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
  };
  if (!('schema' in resource)) return { ...main, verbs: ['create'] };
  const { shortNames, categories } = resource;
  const subresources = subresourcesOf(resource).map((sub) => ({
    subresource: sub.name,
    responseKind: sub.kind ?? responseKind,
    verbs: sub.verbs,
  }));
  return {
    ...main,
    verbs: verbsOf(resource),
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    ...(subresources.length === 0 ? {} : { subresources }),
  };
}
