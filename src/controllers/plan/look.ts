/** Reads what a plan is judged by from both clusters; changes nothing. */
import type { Hook } from '../../api/kinds/hook.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { volumes as ourVolumes } from '../../api/kinds/volume.ts';
import { asTransshipError } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/api.ts';
import type { KubeObject, ResourceType } from '../../kube/objects.ts';
import {
  type Namespace,
  namespaces,
  nodes,
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  volumeAttributesClasses,
} from '../../kube/resources.ts';
import { judgeHealth } from '../../workload/health.ts';
import { nameKey, nameOf, type ObjectName } from '../../workload/names.ts';
import { visit } from '../../workload/needs.ts';
import { readQuiesceView } from '../../workload/quiesce-view.ts';
import { preparedFor } from '../../workload/transform-context.ts';
import type { Survey } from '../../workload/workload.ts';
import { handleOf, isOurVolume } from '../claim/made.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import {
  type FoundClaim,
  namespaceThere,
  type SeenDestination,
  type SeenSource,
} from './observation.ts';
import { surveyOf } from './prepared.ts';
import { isTemporary } from './temporary-claim.ts';
import { inferType } from './type.ts';

const core = { group: '', version: 'v1', namespaced: true };
const quotas: ResourceType = { ...core, plural: 'resourcequotas', kind: 'ResourceQuota' };
const limitRanges: ResourceType = { ...core, plural: 'limitranges', kind: 'LimitRange' };

const outside = { version: 'v1', namespaced: false };
const namedKinds: readonly ResourceType[] = [
  {
    ...outside,
    group: 'scheduling.k8s.io',
    plural: 'priorityclasses',
    kind: 'PriorityClass',
  },
  { ...outside, group: 'networking.k8s.io', plural: 'ingressclasses', kind: 'IngressClass' },
  { ...outside, group: 'node.k8s.io', plural: 'runtimeclasses', kind: 'RuntimeClass' },
  volumeAttributesClasses,
];

async function foundNamespaces(
  client: KubeClient,
  names: Iterable<string>,
): Promise<ReadonlyMap<string, Namespace>> {
  const found = new Map<string, Namespace>();
  for (const name of names) {
    const one = await client.get(namespaces, { namespace: '', name });
    if (one !== undefined) found.set(name, one);
  }
  return found;
}

type Hooks = ReadonlyMap<string, Hook>;

/** Namespaces in which hooks run may be others than those that move. */
function hookNamespaces(hooks: Hooks, target: Hook['spec']['target']): readonly string[] {
  return [...hooks.values()]
    .filter(({ spec }) => spec.target === target)
    .map(({ spec }) => spec.namespace);
}

export interface Sides {
  readonly source: ClusterAccess;
  readonly destination: ClusterAccess | undefined;
}

export async function lookAtSource(
  plan: Plan,
  hooks: Hooks,
  { source, destination }: Sides,
): Promise<SeenSource> {
  const { client } = source;
  const names = plan.spec.namespaces.map(({ name }) => name);
  const found = await foundNamespaces(client, [...names, ...hookNamespaces(hooks, 'Source')]);
  const classes = [...source.classes.list()];
  if (!names.every((name) => found.has(name))) {
    const nothing = { survey: undefined, claims: [], workloads: [], unhealthy: [] };
    return { namespaces: found, classes, ...nothing };
  }
  const survey = await surveyOf(plan, {
    source: client,
    destination: destination?.client,
  });
  const { workloads, hidden } = await seenWorkloads(client, names);
  return {
    namespaces: found,
    classes,
    survey,
    claims: await foundClaims(client, names, plan.metadata.uid ?? ''),
    workloads,
    unhealthy: unhealthyOf(workloads),
    ...(hidden === undefined ? {} : { hidden }),
  };
}

/** What may not be listed is one right more that is missing: it is said beside the others. */
async function seenWorkloads(
  client: KubeClient,
  names: readonly string[],
): Promise<Pick<SeenSource, 'workloads' | 'hidden'>> {
  try {
    const { workloads } = await readQuiesceView(client, names);
    return { workloads: workloads.map(({ object }) => object) };
  } catch (error) {
    const { reason, message } = asTransshipError(error);
    if (reason !== 'Forbidden') throw error;
    return { workloads: [], hidden: message };
  }
}

function unhealthyOf(workloads: readonly KubeObject[]): SeenSource['unhealthy'] {
  const pods = workloads.filter(({ kind, apiVersion }) => kind === 'Pod' && apiVersion === 'v1');
  const near = Map.groupBy(pods, ({ metadata }) => metadata.namespace ?? '');
  return workloads.flatMap((object) => {
    if (object.metadata.ownerReferences?.some(({ controller }) => controller === true)) return [];
    const health = judgeHealth(object, near.get(object.metadata.namespace ?? ''));
    return health.healthy ? [] : [{ name: nameOf(object), because: health.because }];
  });
}

/** All claims of the namespaces but those that are there for a while: of a claim, a pod, a move. */
async function foundClaims(
  client: KubeClient,
  names: readonly string[],
  moveId: string,
): Promise<FoundClaim[]> {
  const claims: PersistentVolumeClaim[] = [];
  for (const namespace of names) {
    for await (const claim of client.list(persistentVolumeClaims, { namespace })) {
      const owners = claim.metadata.ownerReferences ?? [];
      if (owners.some(({ kind }) => kind === 'PersistentVolumeClaim' || kind === 'Pod')) continue;
      if (!isTemporary(claim, moveId)) claims.push(claim);
    }
  }
  if (claims.length === 0) return [];
  const wanted = new Set(claims.map(({ spec }) => spec?.volumeName ?? ''));
  const bound = new Map<string, PersistentVolume>();
  await visit(client, persistentVolumes, (one) => {
    const { name = '' } = one.metadata;
    if (wanted.has(name)) bound.set(name, one);
  });
  const used = await usedBytesOf(client, [...bound.values()]);
  return claims.map((claim) => {
    const volume = bound.get(claim.spec?.volumeName ?? '');
    return { claim, volume, usedBytes: used.get(volume?.metadata.name ?? '') };
  });
}

/** By PersistentVolume: only volumes of ours tell. */
async function usedBytesOf(
  client: KubeClient,
  bound: readonly PersistentVolume[],
): Promise<ReadonlyMap<string, number>> {
  const ours = new Map(
    bound.filter(isOurVolume).map((one) => [handleOf(one), one.metadata.name ?? '']),
  );
  const used = new Map<string, number>();
  if (ours.size === 0) return used;
  await visit(client, ourVolumes, ({ metadata, status }) => {
    const volume = ours.get(metadata.name ?? '');
    const bytes = status?.usage?.logicalBytes;
    if (volume !== undefined && bytes !== undefined) used.set(volume, bytes);
  });
  return used;
}

export async function lookAtDestination(
  plan: Plan,
  hooks: Hooks,
  { access: { client, classes }, survey }: There,
): Promise<SeenDestination> {
  const names = plan.spec.namespaces.map(({ name, to }) => to ?? name);
  const found = await foundNamespaces(client, [...names, ...hookNamespaces(hooks, 'Destination')]);
  const [quotasThere, limits]: [KubeObject[], KubeObject[]] = [[], []];
  for (const namespace of found.keys()) {
    await listInto(client, quotas, namespace, quotasThere);
    await listInto(client, limitRanges, namespace, limits);
  }
  const named = new Set<string>();
  for (const type of namedKinds) {
    await visit(client, type, ({ metadata }) => void named.add(`${type.kind} ${metadata.name}`));
  }
  const nodesThere: (typeof nodes)['is'][] = [];
  const hidden = await visit(client, nodes, (one) => void nodesThere.push(one));
  return {
    namespaces: found,
    classes: [...classes.list()],
    named,
    quotas: quotasThere,
    limitRanges: limits,
    existing: survey === undefined ? [] : await findExisting(plan, client, { survey, found }),
    nodes: hidden.length > 0 ? undefined : nodesThere.flatMap((one) => one ?? []),
  };
}

export interface There {
  readonly access: ClusterAccess;
  readonly survey: Survey | undefined;
}

async function listInto(
  client: KubeClient,
  type: ResourceType,
  namespace: string,
  into: KubeObject[],
): Promise<void> {
  await visit(client, type, (one) => void into.push(one), { namespace });
}

interface Where {
  readonly survey: Survey;
  readonly found: ReadonlyMap<string, Namespace>;
}

/** Names of the plan's objects that are taken there by what this plan did not make. */
async function findExisting(
  plan: Plan,
  client: KubeClient,
  { survey, found }: Where,
): Promise<readonly ObjectName[]> {
  const type = inferType(plan);
  if (type === 'StorageConversion') return [];
  const items = survey.inventory.items.filter(
    ({ name, unserved }) =>
      unserved === undefined && (type !== 'State' || name.kind === 'PersistentVolumeClaim'),
  );
  const groups = Map.groupBy(items, (item) => `${item.type.plural}.${item.type.group}`);
  const taken: ObjectName[] = [];
  for (const [first, ...rest] of groups.values()) {
    if (first === undefined) continue;
    const group = [first, ...rest];
    const byPlace = new Map(group.map(({ name }) => [placeThere(plan, name), name]));
    const places = new Set(group.map(({ name }) => namespaceThere(plan, name.namespace)));
    for (const namespace of places) {
      if (!found.has(namespace)) continue;
      const add = (object: KubeObject): void => {
        if (object.metadata.annotations?.[preparedFor] === plan.metadata.uid) return;
        if (object.metadata.labels?.[preparedFor] === plan.metadata.uid) return;
        const name = byPlace.get(`${namespace}/${object.metadata.name}`);
        if (name !== undefined) taken.push(name);
      };
      await visit(client, first.type, add, { namespace });
    }
  }
  return taken.toSorted((a, b) => (nameKey(a) < nameKey(b) ? -1 : 1));
}

/** `namespace/name` at the destination; claims may get another name. */
function placeThere(plan: Plan, { kind, namespace, name }: ObjectName): string {
  const wish = (plan.spec.volumes ?? []).find(
    (one) => one.namespace === namespace && one.claim === name,
  );
  const there = kind === 'PersistentVolumeClaim' ? (wish?.name ?? name) : name;
  return `${namespaceThere(plan, namespace)}/${there}`;
}
