/** Deployments: a ReplicaSet per template, and the way from one to the next. */
import { ownerReference } from '../../../kube/api.ts';
import { type ObjectKey, keyOf } from '../../../kube/objects.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  bornMs,
  controllerKey,
  create,
  decision,
  isDeleted,
  nothing,
  patch,
  remove,
  setStatus,
} from '../controller.ts';
import { type Pod, type PodTemplate, pods } from '../kinds/pods.ts';
import { type Deployment, type ReplicaSet, deployments, replicaSets } from '../kinds/workloads.ts';
import { claim, ownersOf } from '../ownership.ts';
import { type Observed, deploymentStatus } from './deployment-status.ts';
import { canonical, contentHash } from './hash.ts';
import { isFinished } from './pods.ts';
import { type Rollout, nextFresh, nextOld, rollingLimits, spread } from './rolling.ts';

const hashLabel = 'pod-template-hash';
const revisionNote = 'deployment.kubernetes.io/revision';
const desiredNote = 'deployment.kubernetes.io/desired-replicas';
const maxNote = 'deployment.kubernetes.io/max-replicas';
const lastAppliedNote = 'kubectl.kubernetes.io/last-applied-configuration';
const ownNotes: ReadonlySet<string> = new Set([
  revisionNote,
  desiredNote,
  maxNote,
  lastAppliedNote,
]);

export function createDeploymentController(): Controller {
  return {
    name: 'deployment',
    sources: [
      { type: deployments, keysOf: (object) => [keyOf(object)] },
      { type: replicaSets, keysOf: ownersOf(deployments) },
      { type: pods, keysOf: deploymentOfPod },
    ],
    reads: [deployments, replicaSets, pods],
    decide: decideDeployment,
  };
}

/** `Recreate` waits for the last old pod to be gone. */
function deploymentOfPod(pod: { readonly metadata: Pod['metadata'] }, view: View): ObjectKey[] {
  return controllerKey(pod as Pod, 'ReplicaSet').flatMap((key) => {
    const set = view.get(replicaSets, key);
    return set === undefined ? [] : [...controllerKey(set, 'Deployment')];
  });
}

export function decideDeployment(view: View, key: ObjectKey): Decision {
  const deployment = view.get(deployments, key);
  if (deployment === undefined) return nothing;
  const { mine, actions: claims } = claim(
    replicaSets,
    deployment,
    view.list(replicaSets, key.namespace),
  );
  if (claims.length > 0) return decision(claims);
  const sets = mine.toSorted((a, b) => bornMs(a) - bornMs(b) || byName(a, b));
  const fresh = sets.find((set) => isOfTemplate(set, deployment.spec.template));
  const old = sets.filter((set) => set !== fresh);
  const observed: Observed = { deployment, fresh, old };
  if (isDeleted(deployment)) return decision(deploymentStatus(observed, view.nowMs).actions);
  const steps = move(view, observed);
  const status = deploymentStatus(observed, view.nowMs);
  // A change of the deployment itself comes first and alone: its version is new after it.
  const self = steps.filter((one) => one.act === 'patch' && one.type === deployments);
  if (self.length > 0) return decision(self);
  return decision([...steps, ...status.actions], status.againAfterMs);
}

const byName = (a: ReplicaSet, b: ReplicaSet): number =>
  (a.metadata.name ?? '').localeCompare(b.metadata.name ?? '');

function isOfTemplate(set: ReplicaSet, template: PodTemplate): boolean {
  return canonical(bare(set.spec.template)) === canonical(bare(template));
}

function bare(template: PodTemplate): unknown {
  const { [hashLabel]: _hash, ...labels } = template.metadata?.labels ?? {};
  const { annotations = {} } = template.metadata ?? {};
  return { labels, annotations, spec: template.spec };
}

function move(view: View, observed: Observed): readonly Action[] {
  const { deployment, fresh, old } = observed;
  const { paused = false, strategy } = deployment.spec;
  if (paused || isResized(observed)) return resize(observed);
  const isRecreate = strategy?.type === 'Recreate';
  if (isRecreate && hasOldPods(view, observed))
    return old.flatMap((set) => scaled(set, 0, observed));
  if (fresh === undefined) return makeFresh(view, observed, isRecreate);
  const notes = annotate(observed);
  if (notes.length > 0) return notes;
  const numbers = rolloutOf(observed);
  const freshNext = isRecreate ? numbers.replicas : nextFresh(numbers);
  const oldNext = isRecreate ? old.map(() => 0) : nextOld(numbers);
  const scalings = [
    ...scaled(fresh, freshNext, observed),
    // One direction at a time: what was just allowed to start is not yet available.
    ...(freshNext > numbers.fresh.replicas
      ? []
      : old.flatMap((set, i) => scaled(set, oldNext[i] ?? 0, observed))),
  ];
  return [...scalings, ...cleanUp(observed)];
}

function rolloutOf({ deployment, fresh, old }: Observed): Rollout {
  const { replicas = 1, strategy } = deployment.spec;
  const share = (set: ReplicaSet | undefined) => ({
    replicas: set === undefined ? 0 : (set.spec.replicas ?? 1),
    pods: set === undefined ? 0 : Math.max(set.spec.replicas ?? 1, set.status?.replicas ?? 0),
    available: set?.status?.availableReplicas ?? 0,
  });
  const limits = rollingLimits(replicas, strategy?.rollingUpdate);
  return { replicas, limits, fresh: share(fresh), old: old.map(share) };
}

function hasOldPods(view: View, { deployment, old }: Observed): boolean {
  const owners = new Set(old.map((set) => set.metadata.uid));
  const all = view.list(pods, deployment.metadata.namespace);
  const left = all.some(
    (pod) =>
      !isFinished(pod) && pod.metadata.ownerReferences?.some((owner) => owners.has(owner.uid)),
  );
  return left || old.some((set) => (set.spec.replicas ?? 1) > 0);
}

/** Was the deployment's size changed since the sets got theirs? */
function isResized({ deployment, fresh, old }: Observed): boolean {
  const { replicas = 1 } = deployment.spec;
  return [fresh, ...old].some((set) => {
    if (set === undefined || (set.spec.replicas ?? 1) === 0) return false;
    const noted = set.metadata.annotations?.[desiredNote];
    return noted !== undefined && noted !== String(replicas);
  });
}

function resize(observed: Observed): readonly Action[] {
  const { deployment, fresh, old } = observed;
  const { replicas = 1, strategy } = deployment.spec;
  const all = [...old, ...(fresh === undefined ? [] : [fresh])];
  const active = all.filter((set) => (set.spec.replicas ?? 1) > 0);
  const only = active.length <= 1 ? (active[0] ?? fresh ?? old.at(-1)) : undefined;
  if (only !== undefined) return scaled(only, replicas, observed);
  const surge =
    strategy?.type === 'Recreate' ? 0 : rollingLimits(replicas, strategy?.rollingUpdate).maxSurge;
  const sizes = active.map((set) => set.spec.replicas ?? 1);
  const isFull = (set: ReplicaSet) =>
    set.spec.replicas === replicas && set.status?.availableReplicas === replicas;
  if (fresh !== undefined && isFull(fresh)) {
    return old.flatMap((set) => scaled(set, 0, observed));
  }
  // Without a change of size this keeps the sum; with one it may use the surge of the new size.
  const total = replicas === 0 ? 0 : isResized(observed) ? replicas + surge : sizes.reduce(plus, 0);
  const next = spread(sizes, total);
  return active.flatMap((set, i) => scaled(set, next[i] ?? 0, observed));
}

const plus = (a: number, b: number): number => a + b;

/** Gives a set its size and notes for which size of the deployment that was. */
function scaled(set: ReplicaSet, replicas: number, { deployment }: Observed): readonly Action[] {
  const notes = sizeNotes(deployment);
  const noted = Object.entries(notes).every(
    ([name, value]) => set.metadata.annotations?.[name] === value,
  );
  if ((set.spec.replicas ?? 1) === replicas && noted) return [];
  return [patch(replicaSets, set, { metadata: { annotations: notes }, spec: { replicas } })];
}

function sizeNotes({ spec }: Deployment): Record<string, string> {
  const { replicas = 1, strategy } = spec;
  const surge =
    strategy?.type === 'Recreate' ? 0 : rollingLimits(replicas, strategy?.rollingUpdate).maxSurge;
  return { [desiredNote]: String(replicas), [maxNote]: String(replicas + surge) };
}

const revisionOf = (object: Pick<ReplicaSet, 'metadata'>): number =>
  Number(object.metadata.annotations?.[revisionNote]) || 0;

function nextRevision({ fresh, old }: Observed): number {
  const oldest = Math.max(0, ...old.map(revisionOf));
  return Math.max(oldest + 1, fresh === undefined ? 0 : revisionOf(fresh));
}

function makeFresh(view: View, observed: Observed, isRecreate: boolean): readonly Action[] {
  const { deployment } = observed;
  const { template, selector, minReadySeconds = 0, replicas = 1 } = deployment.spec;
  const collisions = deployment.status?.collisionCount ?? 0;
  const hash = contentHash(bare(template), collisions);
  const { name = '', namespace = '' } = deployment.metadata;
  const fullName = `${name}-${hash}`;
  const taken = view.get(replicaSets, { namespace, name: fullName });
  if (taken !== undefined) {
    return setStatus(deployments, deployment, { collisionCount: collisions + 1 });
  }
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  const numbers = rolloutOf(observed);
  const set = create(replicaSets, {
    metadata: {
      name: fullName,
      namespace,
      labels,
      annotations: {
        ...copiedNotes(deployment),
        ...sizeNotes(deployment),
        [revisionNote]: String(nextRevision(observed)),
      },
      ownerReferences: [ownerReference(deployment)],
    },
    spec: {
      replicas: isRecreate ? replicas : nextFresh(numbers),
      minReadySeconds,
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  });
  return [set];
}

function copiedNotes({ metadata }: Deployment): Record<string, string> {
  const entries = Object.entries(metadata.annotations ?? {});
  return Object.fromEntries(entries.filter(([name]) => !ownNotes.has(name)));
}

/**
 * The revision on both objects, and what else the new set takes from the deployment. Alone in its
 * round: what followed would name an old version of the object.
 */
function annotate(observed: Observed): readonly Action[] {
  const { deployment, fresh } = observed;
  if (fresh === undefined) return [];
  const revision = String(nextRevision(observed));
  const wanted = { ...copiedNotes(deployment), [revisionNote]: revision };
  const has = Object.entries(wanted).every(
    ([name, value]) => fresh.metadata.annotations?.[name] === value,
  );
  const { minReadySeconds = 0 } = deployment.spec;
  if (!has || (fresh.spec.minReadySeconds ?? 0) !== minReadySeconds) {
    return [
      patch(replicaSets, fresh, { metadata: { annotations: wanted }, spec: { minReadySeconds } }),
    ];
  }
  if (deployment.metadata.annotations?.[revisionNote] === revision) return [];
  const annotations = { [revisionNote]: revision };
  return [patch(deployments, deployment, { metadata: { annotations } })];
}

/** Old sets beyond the history limit, once nothing of them runs and the rollout is complete. */
function cleanUp({ deployment, fresh, old }: Observed): readonly Action[] {
  const { revisionHistoryLimit = 10, replicas = 1 } = deployment.spec;
  const isComplete =
    fresh?.status?.availableReplicas === replicas && (fresh.spec.replicas ?? 1) === replicas;
  const idle = old.filter(
    (set) => (set.spec.replicas ?? 1) === 0 && (set.status?.replicas ?? 0) === 0 && !isDeleted(set),
  );
  if (!isComplete || idle.length !== old.length) return [];
  const spare = Math.max(0, idle.length - revisionHistoryLimit);
  const byRevision = idle.toSorted((a, b) => revisionOf(a) - revisionOf(b));
  return byRevision.slice(0, spare).map((set) => remove(replicaSets, set));
}
