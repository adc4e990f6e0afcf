/**
 * Fences: a ResourceQuota that lets no new pod into a namespace at rest, beside those that copy. It
 * guards against whatever nobody thought of, such as a pod that a person makes meanwhile.
 */
import type { Observation, Step, Undoing } from '../../../flow/flow.ts';
import { fail, TransshipError } from '../../../base/errors.ts';
import type { KubeClient } from '../../../kube/api.ts';
import type { KubeObject, ObjectKey } from '../../../kube/objects.ts';
import {
  namespaces,
  persistentVolumeClaims,
  type ResourceQuota,
  resourceQuotas,
} from '../../../kube/resources.ts';
import { fenceName, ourLabels } from '../../../workload/ours.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { annotations } from '../../labels.ts';
import { conditionsOf } from '../conditions.ts';
import { accessOf, moveId, namespacesAt, type Run, type SideName, uidOf } from '../run.ts';
import { claimKey, claimsIn, isOnePlace, isWhole, movingClaims, quiesces } from './moving.ts';
import { findHoldersAt } from './stop.ts';
import { stoppedStore } from './stopping.ts';

const minuteMs = 60_000;

/**
 * An old one may still be ending while the next begins, and a hook may run. Where both sides are
 * one place, so are their pods.
 */
function copyingPods(run: Run): number {
  const { plan } = run;
  const each = isOnePlace(run) ? 4 : 2;
  return each * (plan.spec.concurrency ?? 4) + (hasHooks(plan) ? 1 : 0);
}

const hasHooks = ({ spec }: Run['plan']): boolean => (spec.hooks ?? []).length > 0;

/** After the last copy only hooks of the end may run. */
function restingPods({ plan }: Run): number {
  return (plan.spec.hooks ?? []).some(({ phase }) => phase === 'PostRestore') ? 1 : 0;
}

/** Namespaces with pods that are none of this move are not fenced: these go on. */
function isFenced(run: Run, side: SideName): boolean {
  return isWhole(run) && (side === 'source' || isOnePlace(run));
}

const fenceKey = (namespace: string): ObjectKey => ({ namespace, name: fenceName });

async function findFence(
  run: Run,
  client: KubeClient,
  namespace: string,
): Promise<ResourceQuota | undefined> {
  const found = await client.get(resourceQuotas, fenceKey(namespace));
  if (found === undefined || found.metadata.annotations?.[preparedFor] === moveId(run))
    return found;
  return fail(
    'Conflict',
    `ResourceQuota ${namespace}/${fenceName} is of another migration: finish that one first`,
  );
}

const textOf = ({ spec }: ResourceQuota): string | undefined => spec?.hard?.['pods'];

/** Makes it, or changes how many pods may run. */
async function raiseFence(run: Run, side: SideName, podsMax: number): Promise<void> {
  const { client } = accessOf(run, side);
  for (const namespace of namespacesAt(run, side)) {
    const found = await findFence(run, client, namespace);
    const hard = { pods: String(podsMax) };
    if (found !== undefined && textOf(found) === hard.pods) continue;
    if (found !== undefined) {
      const { resourceVersion } = found.metadata;
      const patch = { metadata: { resourceVersion }, spec: { hard } };
      await client.patch(resourceQuotas, fenceKey(namespace), patch);
      continue;
    }
    const { name = '', namespace: place = '' } = run.plan.metadata;
    await client.create(resourceQuotas, {
      metadata: {
        ...fenceKey(namespace),
        labels: { [ourLabels.migration]: uidOf(run.migration) },
        annotations: {
          [preparedFor]: moveId(run),
          'kubernetes.io/description':
            `Plan ${place}/${name} of Transship moves this namespace: no pod may start here. ` +
            'A Rollback lifts this; or delete this object to let pods start.',
        },
      },
      spec: { hard },
    });
  }
}

/** Changes fences that are there; there need not be any. */
export async function setFences(run: Run, side: SideName, podsMax: number): Promise<void> {
  const { client } = accessOf(run, side);
  for (const namespace of namespacesAt(run, side)) {
    const found = await findFence(run, client, namespace);
    if (found === undefined || textOf(found) === String(podsMax)) continue;
    const { resourceVersion } = found.metadata;
    const patch = { metadata: { resourceVersion }, spec: { hard: { pods: String(podsMax) } } };
    await client.patch(resourceQuotas, fenceKey(namespace), patch);
  }
}

/** No pod that copies is needed there any more. */
export function closeSourceFence(run: Run): Promise<void> {
  return setFences(run, 'source', restingPods(run));
}

/** Fences of this plan go; a namespace that is gone has none. */
export async function liftFences(run: Run, side: SideName): Promise<Undoing> {
  const { client } = accessOf(run, side);
  for (const namespace of namespacesAt(run, side)) {
    const found = await client.get(resourceQuotas, fenceKey(namespace));
    if (found?.metadata.annotations?.[preparedFor] !== moveId(run)) continue;
    const { uid = '' } = found.metadata;
    await client.delete(resourceQuotas, fenceKey(namespace), { uid });
  }
  await unmark(run, side);
  return { kind: 'done' };
}

async function isRaised(run: Run, side: SideName): Promise<boolean> {
  const { client } = accessOf(run, side);
  for (const namespace of namespacesAt(run, side)) {
    const found = await findFence(run, client, namespace);
    if (found !== undefined && textOf(found) === String(copyingPods(run))) continue;
    const place = await client.get(namespaces, { namespace: '', name: namespace });
    if (place !== undefined) return false;
  }
  return true;
}

/** Where pods of others run, the claims say at least that they move. */
async function mark(run: Run): Promise<void> {
  for (const claim of await movingClaims(run)) {
    if (claim.metadata.annotations?.[annotations.moving] === moveId(run)) continue;
    await patchMark(run.source.client, claim, moveId(run));
  }
}

async function isMarked(run: Run): Promise<boolean> {
  const claims = await movingClaims(run);
  return claims.every(({ metadata }) => {
    return metadata.annotations?.[annotations.moving] === moveId(run);
  });
}

async function unmark(run: Run, side: SideName): Promise<void> {
  const { client } = accessOf(run, side);
  for await (const claim of claimsIn(client, namespacesAt(run, side))) {
    if (claim.metadata.annotations?.[annotations.moving] !== moveId(run)) continue;
    await patchMark(client, claim, null);
  }
}

async function patchMark(client: KubeClient, claim: KubeObject, value: string | null) {
  const [namespace = '', name = ''] = claimKey(claim).split('/');
  const { uid } = claim.metadata;
  const patch = { metadata: { uid, annotations: { [annotations.moving]: value } } };
  try {
    await client.patch(persistentVolumeClaims, { namespace, name }, patch);
  } catch (error) {
    // It went meanwhile, or another has its name.
    const isGone = error instanceof TransshipError && error.reason === 'NotFound';
    if (!isGone) throw error;
  }
}

async function observeFence(run: Run, side: SideName): Promise<Observation> {
  const isThere = isFenced(run, side)
    ? await isRaised(run, side)
    : side === 'destination' || (await isMarked(run));
  if (!isThere || !(await isSourceOpen(run, side))) return { kind: 'notStarted' };
  const late = isFenced(run, side) ? await lateFence(run, side) : undefined;
  if (late !== undefined) return late;
  // Somebody may have slipped in between the proof and the fence.
  const [holder] = await findHoldersAt(run, side);
  return holder === undefined ? { kind: 'done' } : { kind: 'waiting', ...holder };
}

/** API servers refuse pods by what the status says, and not by what was asked for. */
async function lateFence(run: Run, side: SideName): Promise<Observation | undefined> {
  const { client } = accessOf(run, side);
  for (const namespace of namespacesAt(run, side)) {
    const found = await client.get(resourceQuotas, fenceKey(namespace));
    if (found === undefined || found.status?.hard?.['pods'] === textOf(found)) continue;
    return {
      kind: 'waiting',
      message: `ResourceQuota ${namespace}/${fenceName} is not in force yet`,
      remedy: 'Check that the controller manager of the cluster runs.',
    };
  }
  return undefined;
}

/** Data goes back to the source: the pods that write it there must be let in. */
async function isSourceOpen(run: Run, side: SideName): Promise<boolean> {
  if (side === 'source' || isOnePlace(run) || !conditionsOf(run).has('keepData')) return true;
  for (const namespace of namespacesAt(run, 'source')) {
    const found = await findFence(run, run.source.client, namespace);
    if (found !== undefined && textOf(found) !== String(copyingPods(run))) return false;
  }
  return true;
}

const fenceSource: Step<Run> = {
  name: 'fenceSource',
  description: 'Lets no new pod start at the source beside those that copy.',
  deadlineMs: 5 * minuteMs,
  isNeeded: async (run) => quiesces(run),
  observe: (run) => observeFence(run, 'source'),
  ensure: (run) =>
    isFenced(run, 'source') ? raiseFence(run, 'source', copyingPods(run)) : mark(run),
  undo: (run) => liftFences(run, 'source'),
};

const fenceDestination: Step<Run> = {
  name: 'fenceDestination',
  description: 'Lets no new pod start at the destination beside those that copy.',
  deadlineMs: 5 * minuteMs,
  observe: (run) => observeFence(run, 'destination'),
  ensure: async (run) => {
    if (isFenced(run, 'destination')) await raiseFence(run, 'destination', copyingPods(run));
    if (!isOnePlace(run) && conditionsOf(run).has('keepData'))
      await setFences(run, 'source', copyingPods(run));
  },
  undo: async (run) => {
    if (!isOnePlace(run)) await closeSourceFence(run);
    return liftFences(run, 'destination');
  },
};

const liftSourceFence: Step<Run> = {
  name: 'liftSourceFence',
  description: 'Lets pods start at the source again.',
  deadlineMs: 5 * minuteMs,
  observe: async (run) => ({ kind: (await isLifted(run)) ? 'done' : 'notStarted' }),
  ensure: async (run) => void (await liftFences(run, 'source')),
  undo: async (run) => {
    // A cutover that did not stop the source has not fenced it either.
    const wasStopped = (await stoppedStore(run, 'source').load()).length > 0;
    if (wasStopped && !isFenced(run, 'source')) await mark(run);
    else if (wasStopped) await raiseFence(run, 'source', restingPods(run));
    return { kind: 'done' };
  },
};

async function isLifted(run: Run): Promise<boolean> {
  const { client } = run.source;
  for (const namespace of namespacesAt(run, 'source')) {
    const found = await client.get(resourceQuotas, fenceKey(namespace));
    if (found?.metadata.annotations?.[preparedFor] === moveId(run)) return false;
  }
  for await (const claim of claimsIn(client, namespacesAt(run, 'source'))) {
    if (claim.metadata.annotations?.[annotations.moving] === moveId(run)) return false;
  }
  return true;
}

export const fenceSteps: readonly Step<Run>[] = [fenceSource, fenceDestination, liftSourceFence];
