/** Puts pods on nodes. A pod that fits nowhere says why in its condition `PodScheduled`. */
import { formatSecond } from '../../base/units.ts';
import { type ObjectKey, keyOf } from '../../kube/objects.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  create,
  decision,
  isDeleted,
  nothing,
  patch,
  setStatus,
} from './controller.ts';
import { ownerReference } from '../../kube/api.ts';
import { type Pod, type PodCondition, pods } from './kinds/pods.ts';
import { storageClasses, type Node, nodes } from '../../kube/resources.ts';
import { type Claim, type ClaimSpec, claims, persistentVolumes } from './kinds/storage.ts';
import { matchesNode, refusal } from './placement.ts';
import { nearness, nearReads } from './storage/near-volumes.ts';
import { boundNote, selectedNodeNote } from './storage/claim-binder.ts';
import { classOf } from './storage/match.ts';
import { claimsOfPod } from './storage/protection.ts';
import { isFinished } from './workload/pods.ts';

const ownReads: Controller['reads'] = [pods, nodes, claims, persistentVolumes, storageClasses];

/** With `nearVolumes` the nodes that have a pod's volumes come first; it needs our kinds. */
export function createScheduler({ nearVolumes = false } = {}): Controller {
  const waiting = (view: View) => view.list(pods).filter(isWaiting).map(keyOf);
  return {
    name: 'scheduler',
    sources: [
      { type: pods, keysOf: (object) => (isWaiting(object as Pod) ? [keyOf(object)] : []) },
      { type: nodes, keysOf: (_, view) => waiting(view) },
      { type: claims, keysOf: (claim, view) => podsOfClaim(keyOf(claim), view) },
    ],
    reads: nearVolumes ? [...ownReads, ...nearReads] : ownReads,
    decide: (view, key) => decidePlacement(view, key, nearVolumes),
  };
}

function isWaiting(pod: Pod): boolean {
  const { nodeName, schedulerName = 'default-scheduler' } = pod.spec;
  return nodeName === undefined && schedulerName === 'default-scheduler' && !isDeleted(pod);
}

function podsOfClaim(key: ObjectKey, view: View): readonly ObjectKey[] {
  return view
    .list(pods, key.namespace)
    .filter((pod) => isWaiting(pod) && claimsOfPod(pod).some((one) => one.name === key.name))
    .map(keyOf);
}

export function decidePlacement(view: View, key: ObjectKey, nearVolumes = false): Decision {
  const pod = view.get(pods, key);
  if (pod === undefined || !isWaiting(pod)) return nothing;
  const gates = pod.spec.schedulingGates ?? [];
  if (gates.length > 0) {
    const message = 'Scheduling is blocked due to non-empty scheduling gates';
    return decision(unscheduled(pod, 'SchedulingGated', message, view.nowMs));
  }
  const made = ephemeralClaims(view, pod);
  if (made.length > 0) return decision(made);
  const all = view.list(nodes).filter((node) => !isDeleted(node));
  const storage = judgeClaims(view, pod);
  if ('problem' in storage) {
    const message = `0/${all.length} nodes are available: ${storage.problem}.`;
    return decision(unscheduled(pod, 'Unschedulable', message, view.nowMs));
  }
  const refusals = all.map((node) => refusal(pod.spec, node) ?? storage.refusal(node));
  const fit = all.filter((_, i) => refusals[i] === undefined);
  const points = nearVolumes ? nearness(view, pod) : undefined;
  const best = bestOf(view, fit, points);
  if (best === undefined) {
    const message = `0/${all.length} nodes are available: ${summary(refusals)}.`;
    return decision(unscheduled(pod, 'Unschedulable', message, view.nowMs));
  }
  const node = best.metadata.name ?? '';
  const late = storage.late.filter(
    (claim) => claim.metadata.annotations?.[selectedNodeNote] !== node,
  );
  if (storage.late.length > 0) {
    // The pod goes on when its claims are bound.
    return decision(
      late.map((claim) =>
        patch(claims, claim, { metadata: { annotations: { [selectedNodeNote]: node } } }),
      ),
    );
  }
  return decision([{ act: 'bind', key, uid: pod.metadata.uid ?? '', node }]);
}

interface Storage {
  /** Claims to be bound once a node is chosen. */
  readonly late: readonly Claim[];
  refusal(node: Node): string | undefined;
}

function judgeClaims(view: View, pod: Pod): Storage | { readonly problem: string } {
  const late: Claim[] = [];
  const affinities: ((node: Node) => boolean)[] = [];
  for (const key of claimsOfPod(pod)) {
    const claim = view.get(claims, key);
    if (claim === undefined) return { problem: `persistentvolumeclaim "${key.name}" not found` };
    if (isDeleted(claim))
      return { problem: `persistentvolumeclaim "${key.name}" is being deleted` };
    const { volumeName = '' } = claim.spec;
    if (claim.status?.phase === 'Lost') {
      return {
        problem:
          `persistentvolumeclaim "${key.name}" bound to non-existent ` +
          `persistentvolume "${volumeName}"`,
      };
    }
    if (claim.metadata.annotations?.[boundNote] === undefined) {
      const wanted = view.get(storageClasses, { namespace: '', name: classOf(claim) });
      if (wanted?.volumeBindingMode !== 'WaitForFirstConsumer') {
        return { problem: 'pod has unbound immediate PersistentVolumeClaims' };
      }
      late.push(claim);
      continue;
    }
    const volume = view.get(persistentVolumes, { namespace: '', name: volumeName });
    affinities.push((node) => matchesNode(volume?.spec.nodeAffinity?.required, node));
  }
  const message = 'had volume node affinity conflict';
  return {
    late,
    refusal: (node) => (affinities.every((fits) => fits(node)) ? undefined : message),
  };
}

/** Claims that live with the pod (generic ephemeral volumes). */
function ephemeralClaims(view: View, pod: Pod): readonly Action[] {
  const { namespace = '', name = '' } = pod.metadata;
  return (pod.spec.volumes ?? []).flatMap((volume) => {
    const template = volume.ephemeral?.volumeClaimTemplate;
    const key = { namespace, name: `${name}-${volume.name}` };
    if (template === undefined || view.get(claims, key) !== undefined) return [];
    const { labels = {}, annotations = {} } = template.metadata ?? {};
    const metadata = { ...key, labels, annotations, ownerReferences: [ownerReference(pod)] };
    return [create(claims, { metadata, spec: template.spec as ClaimSpec })];
  });
}

/** The nearest to its volumes, and of those with the fewest pods. */
function bestOf(
  view: View,
  fit: readonly Node[],
  points: ReadonlyMap<string, number> | undefined,
): Node | undefined {
  if (fit.length <= 1) return fit[0];
  const near = (node: Node) => points?.get(node.metadata.name ?? '') ?? 0;
  const used = new Map<string, number>();
  for (const pod of view.list(pods)) {
    if (pod.spec.nodeName === undefined || isFinished(pod)) continue;
    used.set(pod.spec.nodeName, (used.get(pod.spec.nodeName) ?? 0) + 1);
  }
  const of = (node: Node) => used.get(node.metadata.name ?? '') ?? 0;
  return fit.toSorted(
    (a, b) =>
      near(b) - near(a) ||
      of(a) - of(b) ||
      (a.metadata.name ?? '').localeCompare(b.metadata.name ?? ''),
  )[0];
}

/** `1 node(s) were unschedulable, 2 node(s) didn't match …` */
function summary(refusals: readonly (string | undefined)[]): string {
  const counts = new Map<string, number>();
  for (const one of refusals) if (one !== undefined) counts.set(one, (counts.get(one) ?? 0) + 1);
  if (counts.size === 0) return 'there is no node';
  return [...counts]
    .map(([text, count]) => `${count} node(s) ${text}`)
    .toSorted()
    .join(', ');
}

function unscheduled(pod: Pod, reason: string, message: string, nowMs: number): readonly Action[] {
  const before = pod.status?.conditions ?? [];
  const old = before.find((one) => one.type === 'PodScheduled');
  if (old?.status === 'False' && old.reason === reason && old.message === message) return [];
  const since = old?.status === 'False' ? old.lastTransitionTime : undefined;
  const condition: PodCondition = {
    type: 'PodScheduled',
    status: 'False',
    reason,
    message,
    lastTransitionTime: since ?? formatSecond(nowMs),
  };
  const others = before.filter((one) => one.type !== 'PodScheduled');
  return [
    ...setStatus(pods, pod, { conditions: [...others, condition] }),
    { act: 'event', regarding: pod, type: 'Warning', reason: 'FailedScheduling', note: message },
  ];
}
