/**
 * Which API version to read and write a kind in. The source server converts: it is asked for a
 * version that the destination serves too (U-55).
 */
import type { ServedResource } from '../kube/discovery.ts';
import type { ResourceType } from '../kube/objects.ts';

/** Groups that kinds have moved out of; the first of them is the one to use. */
const successors: Readonly<Record<string, string>> = {
  'extensions Ingress': 'networking.k8s.io',
  'extensions NetworkPolicy': 'networking.k8s.io',
  'extensions Deployment': 'apps',
  'extensions DaemonSet': 'apps',
  'extensions ReplicaSet': 'apps',
};

export interface ReadableType {
  readonly type: ResourceType;
  /** The destination does not serve what the source has: why, and what to do. */
  readonly unserved?: { readonly message: string; readonly remedy: string };
}

function typeOf({ group, version, plural, kind, namespaced }: ServedResource): ResourceType {
  return { group, version, plural, kind, namespaced };
}

const canRead = ({ verbs }: ServedResource): boolean =>
  verbs.includes('list') && verbs.includes('get');

/**
 * One type per kind of the source that can be listed and read: in the destination's preferred
 * version where both serve it, else in any version both serve, else in the source's preferred one.
 */
export function readableTypes(
  source: readonly ServedResource[],
  destination: readonly ServedResource[] | undefined,
): readonly ReadableType[] {
  const kinds = new Map<string, ServedResource[]>();
  for (const one of source.filter(canRead)) {
    const key = `${one.group} ${one.plural}`;
    const versions = kinds.get(key) ?? [];
    versions.push(one);
    kinds.set(key, versions);
  }
  return [...kinds.values()]
    .filter(([first]) => first !== undefined && !isSucceeded(first, kinds))
    .map((versions) => choose(versions, destination));
}

/** The same objects are listed in the newer group. */
function isSucceeded(
  { group, kind, plural }: ServedResource,
  kinds: ReadonlyMap<string, unknown>,
): boolean {
  const to = successors[`${group} ${kind}`];
  return to !== undefined && kinds.has(`${to} ${plural}`);
}

function choose(
  versions: readonly ServedResource[],
  destination: readonly ServedResource[] | undefined,
): ReadableType {
  const [preferred] = versions as readonly [ServedResource, ...ServedResource[]];
  if (destination === undefined) return { type: typeOf(preferred) };
  const there = destination.filter(
    ({ group, kind }) => group === preferred.group && kind === preferred.kind,
  );
  for (const { version } of there) {
    const shared = versions.find((one) => one.version === version);
    if (shared !== undefined) return { type: typeOf(shared) };
  }
  return { type: typeOf(preferred), unserved: unserved(versions, there) };
}

function unserved(
  versions: readonly ServedResource[],
  there: readonly ServedResource[],
): { message: string; remedy: string } {
  const [{ kind, group }] = versions as readonly [ServedResource, ...ServedResource[]];
  const here = versions.map(({ version }) => version).join(', ');
  const name = group === '' ? kind : `${kind} of ${group}`;
  if (there.length === 0) {
    return {
      message: `the destination does not serve ${name}`,
      remedy: `Install what serves ${name} at the destination, or exclude this kind.`,
    };
  }
  return {
    message:
      `the source serves ${name} in ${here} only, ` +
      `the destination in ${there.map(({ version }) => version).join(', ')}`,
    remedy: 'Upgrade the definition of the kind on one side, so that both serve one version.',
  };
}
