/** Who uses a claim, and what that means for a pod that wants it too. */
import { asTransshipError } from '../../../base/errors.ts';
import type { MoverIdentity } from '../../../files/pods.ts';
import type { KubeClient } from '../../../kube/api.ts';
import type { ObjectKey } from '../../../kube/objects.ts';
import { namespaces, type NodeSelector, nodes } from '../../../kube/resources.ts';
import { type Pod, pods } from '../../../kube/workloads.ts';
import { labels } from '../../labels.ts';
import type { Transfer } from '../method.ts';

/** Pods that are not over and mount it; helpers of transfers are none. */
export async function usersOf(
  client: KubeClient,
  { namespace, name }: ObjectKey,
): Promise<readonly Pod[]> {
  const users: Pod[] = [];
  for await (const pod of client.list(pods, { namespace })) {
    const isOver = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    const isMover = pod.metadata.labels?.[labels.transfer] !== undefined;
    const claims = (pod.spec?.volumes ?? []).map((one) =>
      one.ephemeral === undefined
        ? one.persistentVolumeClaim?.claimName
        : `${pod.metadata.name ?? ''}-${one.name}`,
    );
    if (!isOver && !isMover && claims.includes(name)) users.push(pod);
  }
  return users;
}

/** Where a claim is in use now: only there it can be mounted once more. */
export async function nodesOf(
  client: KubeClient,
  users: readonly Pod[],
): Promise<NodeSelector | undefined> {
  const name = users.map(({ spec }) => spec?.nodeName).find((one) => one !== undefined);
  if (name === undefined) return undefined;
  const node = await client.get(nodes, { namespace: '', name });
  const key = 'kubernetes.io/hostname';
  const value = node?.metadata.labels?.[key] ?? name;
  return { nodeSelectorTerms: [{ matchExpressions: [{ key, operator: 'In', values: [value] }] }] };
}

/** Pods are processes of the machine itself, without a network of their own. */
export async function runsHostProcesses(client: KubeClient): Promise<boolean> {
  const answer = await client.request('GET', '/api/v1/nodes?limit=1').catch((error: unknown) => {
    if (asTransshipError(error).reason === 'Forbidden') return undefined;
    throw error;
  });
  const [node] = (answer as { readonly items?: readonly NodeFacts[] } | undefined)?.items ?? [];
  return node?.status?.nodeInfo?.containerRuntimeVersion?.startsWith('host-processes:') === true;
}

interface NodeFacts {
  readonly status?: { readonly nodeInfo?: { readonly containerRuntimeVersion?: string } };
}

const enforced = 'pod-security.kubernetes.io/enforce';

/**
 * Root, because only root can read and make files of every owner; where the namespace admits no
 * root, the user of whoever uses the claim, who can read most of it.
 */
export async function identityFor(
  client: KubeClient,
  namespace: string,
  { users, rootBecause }: { readonly users: readonly Pod[]; readonly rootBecause: string },
): Promise<MoverIdentity> {
  if (await runsHostProcesses(client)) return { asHost: true };
  if (!(await admitsRoot(client, namespace))) return userOf(users);
  return { runAsRoot: { because: rootBecause } };
}

export async function admitsRoot(client: KubeClient, namespace: string): Promise<boolean> {
  const found = await client.get(namespaces, { namespace: '', name: namespace });
  return found?.metadata.labels?.[enforced] !== 'restricted';
}

/** Only root makes files of every owner. */
export async function ownershipFor({
  source,
  destination,
  object,
}: Transfer): Promise<'Preserve' | 'Mover'> {
  const sides = [
    [destination.client, object.spec.destination.namespace],
    [source.client, object.spec.source.namespace],
  ] as const;
  for (const [client, namespace] of sides) {
    if (await runsHostProcesses(client)) continue;
    if (!(await admitsRoot(client, namespace))) return 'Mover';
  }
  return 'Preserve';
}

/** For the result, where files lose their owners. */
export const ownersWarning = 'all files belong to one user, because a namespace admits no root';

function userOf(users: readonly Pod[]): MoverIdentity {
  for (const { spec } of users) {
    const own = spec?.containers.map(({ securityContext }) => securityContext) ?? [];
    const all = [...own, spec?.securityContext];
    const user = numberIn(all, 'runAsUser');
    const group = numberIn([spec?.securityContext], 'fsGroup') ?? numberIn(all, 'runAsGroup');
    if (user !== undefined && user !== 0)
      return { user, ...(group === undefined ? {} : { group }) };
  }
  return {};
}

type Security = Readonly<Record<string, unknown>> | undefined;

function numberIn(contexts: readonly Security[], field: string): number | undefined {
  const values = contexts.map((context) => context?.[field]);
  return values.find((value): value is number => typeof value === 'number');
}
