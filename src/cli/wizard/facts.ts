/** What clusters have, for questions: asked of their API servers when a question needs it. */
import { resources } from '../../api/kinds/resources.ts';
import { asTransshipError } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/api.ts';
import type { KubeObject, ResourceType } from '../../kube/objects.ts';
import {
  namespaces,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  type StorageClass,
  storageClasses,
} from '../../kube/resources.ts';
import { apiOfSide, clustersOf } from '../api/departure.ts';
import type { Cli } from '../context.ts';

/** What is known of a claim before a plan looks at it. */
export interface FoundClaim {
  readonly namespace: string;
  readonly name: string;
  readonly storageClass: string | undefined;
  readonly size: string | undefined;
  readonly volumeMode: string | undefined;
}

/** Everything that questions offer. Undefined: that cluster cannot be asked from here. */
export interface Facts {
  readonly clusters: readonly string[];
  /** Of the hub: names that are taken. */
  readonly plans: readonly string[];
  readonly hooks: readonly string[];
  readonly repositories: readonly string[];
  namespaces(cluster: string): Promise<readonly string[] | undefined>;
  claims(
    cluster: string,
    namespaces: readonly string[],
  ): Promise<readonly FoundClaim[] | undefined>;
  storageClasses(cluster: string): Promise<readonly string[] | undefined>;
}

/** Enough for a person to choose from. */
const namesMax = 1000;

export async function clusterFactsOf(cli: Cli, hub: KubeClient, namespace: string): Promise<Facts> {
  const known = await clustersOf(hub);
  const clientOf = async (name: string): Promise<KubeClient | undefined> => {
    const cluster = known.find(({ metadata }) => metadata.name === name);
    return cluster === undefined ? undefined : apiOfSide(cli, hub, cluster);
  };
  const from = async <T>(name: string, read: (client: KubeClient) => Promise<T>) => {
    const client = await clientOf(name);
    if (client === undefined) return undefined;
    try {
      return await read(client);
    } catch (error) {
      // The hub may have rights and ways that this person has not: then names are typed.
      const { reason } = asTransshipError(error);
      if (reason === 'ApiUnreachable' || reason === 'Forbidden') return undefined;
      throw error;
    }
  };
  return {
    clusters: known.map(({ metadata }) => metadata.name ?? ''),
    plans: await namesOf(hub, resources.plans, namespace),
    hooks: await namesOf(hub, resources.hooks, namespace),
    repositories: await namesOf(hub, resources.repositories),
    namespaces: (name) =>
      from(name, async (client) => (await namesOf(client, namespaces)).filter(isOfPeople)),
    claims: (name, chosen) => from(name, (client) => claimsOf(client, chosen)),
    storageClasses: (name) => from(name, (client) => classesOf(client)),
  };
}

/** Those of Kubernetes and of Transship are not what people move. */
function isOfPeople(name: string): boolean {
  return !name.startsWith('kube-') && name !== 'transship-system';
}

async function namesOf(
  client: KubeClient,
  type: ResourceType,
  namespace?: string,
): Promise<readonly string[]> {
  const found: string[] = [];
  const where = namespace === undefined ? {} : { namespace };
  for await (const { metadata } of client.list<KubeObject>(type, where)) {
    found.push(metadata.name ?? '');
    if (found.length === namesMax) break;
  }
  return found.toSorted();
}

async function claimsOf(
  client: KubeClient,
  chosen: readonly string[],
): Promise<readonly FoundClaim[]> {
  const found: FoundClaim[] = [];
  for (const namespace of chosen) {
    for await (const claim of client.list(persistentVolumeClaims, { namespace })) {
      found.push(foundClaim(namespace, claim));
    }
  }
  return found;
}

function foundClaim(
  namespace: string,
  { metadata, spec, status }: PersistentVolumeClaim,
): FoundClaim {
  return {
    namespace,
    name: metadata.name ?? '',
    storageClass: spec?.storageClassName,
    size: status?.capacity?.['storage'] ?? spec?.resources?.requests?.['storage'],
    volumeMode: spec?.volumeMode,
  };
}

const defaultClass = 'storageclass.kubernetes.io/is-default-class';

/** The default one first. */
async function classesOf(client: KubeClient): Promise<readonly string[]> {
  const found: StorageClass[] = [];
  for await (const one of client.list(storageClasses)) found.push(one);
  const isDefault = ({ metadata }: StorageClass): number =>
    metadata.annotations?.[defaultClass] === 'true' ? 0 : 1;
  return found
    .toSorted((a, b) => isDefault(a) - isDefault(b))
    .map(({ metadata }) => metadata.name ?? '');
}
