/** DaemonSets: one pod on every node that may take it (Kubernetes documentation, "DaemonSet"). */
import { type ObjectKey, keyOf } from '../../../kube/objects.ts';
import { nodes } from '../../../kube/resources.ts';
import type { PodSpec, Toleration } from '../../../kube/pod-spec.ts';
import { controllerRevisions } from '../../../kube/workloads.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  bornMs,
  create,
  decision,
  isDeleted,
  nothing,
  remove,
  setStatus,
} from '../controller.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import { type DaemonSet, daemonSets } from '../kinds/workloads.ts';
import { claim, ownersOf } from '../ownership.ts';
import { refusal } from '../placement.ts';
import { isAvailable, isFinished, isReady, namePrefix, nextAvailableMs, podOf } from './pods.ts';
import { observeRevisions, spareRevisions } from './revisions.ts';
import { countOf } from './rolling.ts';

const revisionLabel = 'controller-revision-hash';

/** What a pod of a DaemonSet puts up with beside what its template says. */
const tolerations: readonly Toleration[] = [
  ...['not-ready', 'unreachable'].map((key) => ({ key, effect: 'NoExecute' })),
  ...['disk-pressure', 'memory-pressure', 'pid-pressure', 'unschedulable'].map((key) => ({
    key,
    effect: 'NoSchedule',
  })),
].map(({ key, effect }) => ({ key: `node.kubernetes.io/${key}`, operator: 'Exists', effect }));

export function createDaemonSetController(): Controller {
  return {
    name: 'daemonset',
    sources: [
      { type: daemonSets, keysOf: (object) => [keyOf(object)] },
      { type: pods, keysOf: ownersOf(daemonSets) },
      { type: nodes, keysOf: (_, view) => view.list(daemonSets).map(keyOf) },
    ],
    reads: [daemonSets, pods, nodes, controllerRevisions],
    confirms: [pods],
    decide: decideDaemonSet,
  };
}

interface Observed {
  readonly view: View;
  readonly set: DaemonSet;
  /** Pods by the node they are or will be on; also of nodes that have none yet. */
  readonly byNode: ReadonlyMap<string, readonly Pod[]>;
  readonly eligible: ReadonlySet<string>;
  readonly revision: string;
}

export function decideDaemonSet(view: View, key: ObjectKey): Decision {
  const set = view.get(daemonSets, key);
  if (set === undefined) return nothing;
  const { mine, actions } = claim(pods, set, view.list(pods, key.namespace));
  if (isDeleted(set)) return decision(actions);
  const revisions = observeRevisions(view, set);
  const eligible = eligibleNodes(view, set);
  const byNode = new Map<string, readonly Pod[]>([...eligible].map((name) => [name, []]));
  for (const pod of mine) {
    const name = nodeOf(pod.spec);
    byNode.set(name, [...(byNode.get(name) ?? []), pod]);
  }
  const revision = revisions.updateName.slice((set.metadata.name ?? '').length + 1);
  const observed: Observed = { view, set, byNode, eligible, revision };
  const live = new Set(
    [revision, ...mine.map(revisionOf)].map((one) => `${set.metadata.name}-${one}`),
  );
  const steps = place(observed);
  const { minReadySeconds = 0 } = set.spec;
  return decision(
    [
      ...actions,
      ...revisions.actions,
      ...(steps.length > 0 ? steps : update(observed)),
      ...report(observed),
      ...spareRevisions(set, revisions.all, live),
    ],
    nextAvailableMs(mine, minReadySeconds, view.nowMs),
  );
}

const revisionOf = (pod: Pod): string => pod.metadata.labels?.[revisionLabel] ?? '';

function eligibleNodes(view: View, set: DaemonSet): ReadonlySet<string> {
  const { spec } = set.spec.template;
  const tolerant = { ...spec, tolerations: [...(spec.tolerations ?? []), ...tolerations] };
  const fit = view
    .list(nodes)
    .filter((node) => !isDeleted(node) && refusal(tolerant, node) === undefined);
  return new Set(fit.map((node) => node.metadata.name ?? ''));
}

/** Where a pod is, or where its affinity sends it. */
function nodeOf(spec: PodSpec): string {
  if (spec.nodeName !== undefined) return spec.nodeName;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const fields = required?.nodeSelectorTerms.flatMap((term) => term.matchFields ?? []) ?? [];
  return fields.find((one) => one.key === 'metadata.name')?.values?.[0] ?? '';
}

/** One pod on each node, none elsewhere; finished ones make room. */
function place({ set, byNode, eligible, revision }: Observed): readonly Action[] {
  const actions: Action[] = [];
  for (const [node, here] of byNode) {
    const finished = here.filter((pod) => isFinished(pod) && !isDeleted(pod));
    const oldestFirst = here
      .filter((pod) => !isFinished(pod) && !isDeleted(pod))
      .toSorted((a, b) => bornMs(a) - bornMs(b));
    const spare = eligible.has(node) ? oldestFirst.slice(1) : oldestFirst;
    actions.push(...[...finished, ...spare].map((pod) => remove(pods, pod)));
    if (eligible.has(node) && here.length === 0) actions.push(makePod(set, node, revision));
  }
  return actions;
}

function makePod(set: DaemonSet, node: string, revision: string): Action {
  const pod = podOf(set, set.spec.template, {
    generateName: namePrefix(set.metadata.name ?? ''),
    labels: { [revisionLabel]: revision },
  });
  const field = { key: 'metadata.name', operator: 'In', values: [node] };
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const terms = required?.nodeSelectorTerms ?? [{}];
  const affinity = {
    ...pod.spec.affinity,
    nodeAffinity: {
      ...pod.spec.affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: terms.map((term) => ({ ...term, matchFields: [field] })),
      },
    },
  };
  const all = [...(pod.spec.tolerations ?? []), ...tolerations];
  return create(pods, { ...pod, spec: { ...pod.spec, affinity, tolerations: all } });
}

/** Old pods go, as many at a time as may be missing. */
function update({ view, set, byNode, eligible, revision }: Observed): readonly Action[] {
  const { type = 'RollingUpdate', rollingUpdate } = set.spec.updateStrategy ?? {};
  if (type !== 'RollingUpdate') return [];
  const { minReadySeconds = 0 } = set.spec;
  const maxUnavailable = Math.max(
    1,
    countOf(rollingUpdate?.maxUnavailable ?? 1, eligible.size, 'up'),
  );
  const here = [...eligible].map((node) => byNode.get(node)?.[0]);
  const serves = (pod: Pod | undefined): pod is Pod =>
    pod !== undefined && !isDeleted(pod) && isAvailable(pod, minReadySeconds, view.nowMs);
  const old = here.filter(
    (pod): pod is Pod => pod !== undefined && !isDeleted(pod) && revisionOf(pod) !== revision,
  );
  const idle = old.filter((pod) => !serves(pod));
  const room = Math.max(0, maxUnavailable - here.filter((pod) => !serves(pod)).length);
  return [...idle, ...old.filter(serves).slice(0, room)].map((pod) => remove(pods, pod));
}

function report({ view, set, byNode, eligible, revision }: Observed): readonly Action[] {
  const { minReadySeconds = 0 } = set.spec;
  const here = [...eligible].flatMap(
    (node) => byNode.get(node)?.filter((p) => !isDeleted(p)) ?? [],
  );
  const available = here.filter((pod) => isAvailable(pod, minReadySeconds, view.nowMs)).length;
  const elsewhere = [...byNode].filter(([node, list]) => !eligible.has(node) && list.length > 0);
  return setStatus(daemonSets, set, {
    observedGeneration: set.metadata.generation,
    desiredNumberScheduled: eligible.size,
    currentNumberScheduled: here.length,
    updatedNumberScheduled: here.filter((pod) => revisionOf(pod) === revision).length,
    numberReady: here.filter(isReady).length,
    numberAvailable: available,
    numberUnavailable: Math.max(0, eligible.size - available),
    numberMisscheduled: elsewhere.length,
  });
}
