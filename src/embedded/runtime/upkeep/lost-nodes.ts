/**
 * Nodes that are not heard of any more, and the pods on them (Kubernetes documentation, "Nodes",
 * "Taints and Tolerations"): told `Unknown`, tainted, emptied when the pods' patience is over.
 * Sooner than elsewhere, because all nodes of an embedded cluster are on one machine.
 */
import { formatSecond } from '../../../base/units.ts';
import { type ObjectKey, keyOf } from '../../../kube/objects.ts';
import {
  type Node,
  type NodeCondition,
  type Taint,
  leases,
  nodes,
} from '../../../kube/resources.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  decision,
  isDeleted,
  nothing,
  patch,
  remove,
  setStatus,
  timeMs,
} from '../controller.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import { tolerates } from '../placement.ts';
import { isFinished } from '../workload/pods.ts';
import { leaseNamespace } from './nodes.ts';

/** Without a heartbeat; several of them may be late on a busy machine. */
const graceMs = 10_000;
const unreachable = 'node.kubernetes.io/unreachable';
const unreachableEffects = ['NoSchedule', 'NoExecute'] as const;

/** Tells which nodes are not heard of, and keeps pods from them. */
export function createNodeWatch(): Controller {
  return {
    name: 'node-watch',
    sources: [
      { type: nodes, keysOf: (node) => [keyOf(node)] },
      {
        type: leases,
        keysOf: ({ metadata }) =>
          metadata.namespace === leaseNamespace
            ? [{ namespace: '', name: metadata.name ?? '' }]
            : [],
      },
    ],
    reads: [nodes, leases],
    // On heartbeats of now: an old view would call a node lost that has come back.
    confirms: [],
    decide: watchNode,
  };
}

function watchNode(view: View, key: ObjectKey): Decision {
  const node = view.get(nodes, key);
  const lease = view.get(leases, { namespace: leaseNamespace, name: key.name });
  if (node === undefined || isDeleted(node) || lease === undefined) return nothing;
  const ageMs = view.nowMs - timeMs(lease.spec?.renewTime);
  if (!(ageMs >= graceMs)) {
    const isReady = conditionOf(node)?.status === 'True';
    const waitMs = Number.isNaN(ageMs) ? graceMs : Math.max(1, graceMs - ageMs);
    return decision(isReady ? untaint(node) : [], waitMs);
  }
  const isTold = conditionOf(node)?.status === 'Unknown';
  const conditions = (node.status?.conditions ?? []).map((one) => lost(one, view.nowMs));
  const note = `Node ${key.name} status is now: NodeNotReady`;
  return decision([
    ...(isTold ? [] : setStatus(nodes, node, { conditions })),
    ...(isTold
      ? []
      : [
          {
            act: 'event',
            regarding: node,
            type: 'Warning',
            reason: 'NodeNotReady',
            note,
          } satisfies Action,
        ]),
    // With the version of the node that was seen; after the change above in the next round.
    ...(isTold ? taint(node, view.nowMs) : []),
  ]);
}

function conditionOf(node: Node): NodeCondition | undefined {
  return node.status?.conditions?.find(({ type }) => type === 'Ready');
}

function lost(condition: NodeCondition, nowMs: number): NodeCondition {
  if (condition.status === 'Unknown') return condition;
  return {
    ...condition,
    status: 'Unknown',
    reason: 'NodeStatusUnknown',
    message: 'Kubelet stopped posting node status.',
    lastTransitionTime: formatSecond(nowMs),
  };
}

function taint(node: Node, nowMs: number): readonly Action[] {
  const taints = node.spec?.taints ?? [];
  const missing = unreachableEffects.filter((effect) => {
    return !taints.some((one) => one.key === unreachable && one.effect === effect);
  });
  if (missing.length === 0) return [];
  const added = missing.map((effect): Taint => {
    return { key: unreachable, effect, timeAdded: formatSecond(nowMs) };
  });
  return [patch(nodes, node, { spec: { taints: [...taints, ...added] } })];
}

function untaint(node: Node): readonly Action[] {
  const taints = node.spec?.taints ?? [];
  const left = taints.filter(({ key }) => key !== unreachable);
  if (left.length === taints.length) return [];
  return [patch(nodes, node, { spec: { taints: left.length === 0 ? null : left } })];
}

/** Deletes pods from nodes whose taints they do not bear, or not for longer. */
export function createEvictor(): Controller {
  return {
    name: 'taint-eviction',
    sources: [
      { type: pods, keysOf: (pod) => [keyOf(pod)] },
      { type: nodes, keysOf: (node, view) => podsOn(node as Node, view).map(keyOf) },
    ],
    reads: [pods, nodes],
    confirms: [nodes],
    decide: evict,
  };
}

function podsOn(node: Node, view: View): readonly Pod[] {
  if (!(node.spec?.taints ?? []).some(({ effect }) => effect === 'NoExecute')) return [];
  return view.list(pods).filter(({ spec }) => spec.nodeName === node.metadata.name);
}

function evict(view: View, key: ObjectKey): Decision {
  const pod = view.get(pods, key);
  const { nodeName } = pod?.spec ?? {};
  if (pod === undefined || nodeName === undefined || isDeleted(pod) || isFinished(pod)) {
    return nothing;
  }
  const node = view.get(nodes, { namespace: '', name: nodeName });
  const taints = (node?.spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute');
  const ends = taints.map((one) => patienceEndsMs(pod, one));
  const endMs = Math.min(Number.POSITIVE_INFINITY, ...ends);
  if (!Number.isFinite(endMs) && endMs > 0) return nothing;
  if (endMs > view.nowMs) return decision([], endMs - view.nowMs);
  const note = `Taint manager: pod ${key.namespace}/${key.name} is deleted from ${nodeName}`;
  return decision([
    { act: 'event', regarding: pod, type: 'Normal', reason: 'TaintManagerEviction', note },
    remove(pods, pod),
  ]);
}

/** Minus infinity for what is not borne at all, infinity for what is borne for ever. */
function patienceEndsMs(pod: Pod, one: Taint): number {
  const matching = (pod.spec.tolerations ?? []).filter((toleration) => tolerates(toleration, one));
  if (matching.length === 0) return Number.NEGATIVE_INFINITY;
  const seconds = matching.flatMap(({ tolerationSeconds }) => tolerationSeconds ?? []);
  if (seconds.length === 0) return Number.POSITIVE_INFINITY;
  const sinceMs = timeMs(one.timeAdded);
  return (Number.isNaN(sinceMs) ? 0 : sinceMs) + Math.min(...seconds) * 1000;
}
