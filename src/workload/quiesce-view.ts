/** Reads what a quiesce is planned from: pods, what makes them, and who manages those. */
import { TransshipError } from '../base/errors.ts';
import type { KubeClient, Selectors } from '../kube/api.ts';
import { createDiscovery, type ServedResource } from '../kube/discovery.ts';
import type { KubeObject, ResourceType } from '../kube/objects.ts';
import { withoutAt } from './fields.ts';
import { isReferenced, managerKinds, managersOf, type Placed } from './managers.ts';
import { groupOf, kindText } from './names.ts';
import { isOurs } from './ours.ts';
import type { QuiesceView } from './quiesce.ts';

/** Owners of owners, up to here. */
const ownersDepthMax = 8;

const writing: ReadonlySet<string> = new Set([
  'Pod',
  'ReplicationController',
  'apps/DaemonSet',
  'apps/Deployment',
  'apps/ReplicaSet',
  'apps/StatefulSet',
  'apps.openshift.io/DeploymentConfig',
  'batch/CronJob',
  'batch/Job',
]);

const scalers: ReadonlySet<string> = new Set([
  'autoscaling/HorizontalPodAutoscaler',
  'keda.sh/ScaledObject',
]);

export async function readQuiesceView(
  client: KubeClient,
  namespaces: readonly string[],
): Promise<QuiesceView> {
  const served = preferred(await createDiscovery(client).resources());
  const scalable = new Set(
    served.filter(({ subresources }) => subresources.includes('scale')).map(kindText),
  );
  const isListed = ({ verbs, namespaced }: ServedResource): boolean =>
    verbs.includes('list') && namespaced;
  const workloads: Placed[] = [];
  const managers: Placed[] = [];
  for (const type of served.filter(isListed)) {
    const kind = kindText(type);
    const into = scalers.has(kind) ? managers : workloads;
    if (into === workloads && !writing.has(kind) && !scalable.has(kind)) continue;
    for (const namespace of namespaces) await listInto(client, type, { namespace }, into);
  }
  await readOwners(client, served, workloads);
  const references = workloads.flatMap(({ object }) => managersOf(object));
  for (const { group, kind } of managerKinds) {
    const isNamed = references.some((one) => one.group === group && one.kind === kind);
    const type = served.find((one) => one.group === group && one.kind === kind);
    if (!isNamed || type === undefined) continue;
    const all: Placed[] = [];
    await listInto(client, type, {}, all);
    managers.push(...all.filter((one) => references.some((name) => isReferenced(name, one))));
  }
  return { workloads, managers, scalable };
}

function preferred(served: readonly ServedResource[]): readonly ServedResource[] {
  const first = new Map<string, ServedResource>();
  for (const one of served) {
    const key = `${one.group} ${one.plural}`;
    if (!first.has(key)) first.set(key, one);
  }
  return [...first.values()];
}

async function listInto(
  client: KubeClient,
  type: ResourceType,
  selectors: Selectors,
  into: Placed[],
): Promise<void> {
  for await (const object of client.list(type, selectors)) {
    if (isOurs(object)) continue;
    into.push({ type, object: withoutAt(object, ['metadata', 'managedFields']) });
  }
}

/** Custom resources that own what was found: operators act on them. */
async function readOwners(
  client: KubeClient,
  served: readonly ServedResource[],
  workloads: Placed[],
): Promise<void> {
  const known = new Set(workloads.map(({ object }) => object.metadata.uid));
  let latest: readonly Placed[] = workloads;
  for (let depth = 0; depth < ownersDepthMax && latest.length > 0; depth++) {
    const found: Placed[] = [];
    for (const { object } of latest) {
      const owner = object.metadata.ownerReferences?.find((one) => one.controller === true);
      if (owner === undefined || known.has(owner.uid)) continue;
      known.add(owner.uid);
      const type = served.find(
        ({ group, kind }) => kind === owner.kind && group === groupOf(owner.apiVersion),
      );
      if (type === undefined) continue;
      const { namespace = '' } = object.metadata;
      const read = await readOwner(client, type, { namespace, name: owner.name });
      if (read?.metadata.uid === owner.uid) found.push({ type, object: read });
    }
    workloads.push(...found);
    latest = found;
  }
}

/** One that may not be read is a blocker of the plan, not an end of it. */
async function readOwner(
  client: KubeClient,
  type: ResourceType,
  key: { readonly namespace: string; readonly name: string },
): Promise<KubeObject | undefined> {
  try {
    return await client.get(type, { ...key, namespace: type.namespaced ? key.namespace : '' });
  } catch (error) {
    if (error instanceof TransshipError && error.reason === 'Forbidden') return undefined;
    throw error;
  }
}
