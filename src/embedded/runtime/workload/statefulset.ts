/**
 * StatefulSets: pods with names and claims of their own, made, updated and given up in order
 * (Kubernetes documentation, "StatefulSets").
 */
import { type ObjectKey, keyOf } from '../../../kube/objects.ts';
import { controllerRevisions } from '../../../kube/workloads.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  create,
  decision,
  isDeleted,
  nothing,
  remove,
  setStatus,
} from '../controller.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import { claims } from '../kinds/storage.ts';
import { type StatefulSet, statefulSets } from '../kinds/workloads.ts';
import { claim, ownersOf } from '../ownership.ts';
import { isAvailable, isFinished, isReady, nextAvailableMs, podOf } from './pods.ts';
import { type Revisions, observeRevisions, spareRevisions, templateOf } from './revisions.ts';
import { claimsFor, keepClaims, volumesFor } from './statefulset-claims.ts';

const revisionLabel = 'controller-revision-hash';

export function createStatefulSetController(): Controller {
  return {
    name: 'statefulset',
    sources: [
      { type: statefulSets, keysOf: (object) => [keyOf(object)] },
      { type: pods, keysOf: ownersOf(statefulSets) },
    ],
    reads: [statefulSets, pods, claims, controllerRevisions],
    confirms: [pods, claims],
    decide: decideStatefulSet,
  };
}

interface Observed {
  readonly view: View;
  readonly set: StatefulSet;
  /** By ordinal; also those beyond the replicas asked for. */
  readonly byOrdinal: ReadonlyMap<number, Pod>;
  readonly revisions: Revisions;
}

export function decideStatefulSet(view: View, key: ObjectKey): Decision {
  const set = view.get(statefulSets, key);
  if (set === undefined) return nothing;
  const { mine, actions } = claim(pods, set, view.list(pods, key.namespace));
  const byOrdinal = new Map<number, Pod>();
  for (const pod of mine) {
    const ordinal = ordinalOf(set, pod);
    if (ordinal !== undefined) byOrdinal.set(ordinal, pod);
  }
  if (isDeleted(set)) return decision(actions);
  const revisions = observeRevisions(view, set);
  const observed = { view, set, byOrdinal, revisions };
  const live = new Set([revisions.updateName, currentName(observed), ...mine.map(revisionOf)]);
  const { minReadySeconds = 0 } = set.spec;
  return decision(
    [
      ...actions,
      ...revisions.actions,
      ...keepClaims(view, set, byOrdinal),
      ...move(observed),
      ...report(observed),
      ...spareRevisions(set, revisions.all, live),
    ],
    nextAvailableMs(mine, minReadySeconds, view.nowMs),
  );
}

/** `NAME-3` is 3. */
function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const { name = '' } = pod.metadata;
  const prefix = `${set.metadata.name}-`;
  const digits = name.slice(prefix.length);
  return name.startsWith(prefix) && /^\d{1,9}$/.test(digits) ? Number(digits) : undefined;
}

const revisionOf = (pod: Pod): string => pod.metadata.labels?.[revisionLabel] ?? '';

function currentName({ set, revisions }: Observed): string {
  return set.status?.currentRevision ?? revisions.updateName;
}

function wantedOrdinals({ spec }: StatefulSet): readonly number[] {
  const { replicas = 1, ordinals } = spec;
  return Array.from({ length: replicas }, (_, i) => (ordinals?.start ?? 0) + i);
}

function move(observed: Observed): readonly Action[] {
  const { set, byOrdinal } = observed;
  const isOrdered = set.spec.podManagementPolicy !== 'Parallel';
  const wanted = wantedOrdinals(set);
  const actions: Action[] = [];
  for (const ordinal of wanted) {
    const pod = byOrdinal.get(ordinal);
    const step = raise(observed, ordinal, pod);
    actions.push(...step);
    const isSettled = step.length === 0 && pod !== undefined && isHealthy(observed, pod);
    if (isOrdered && !isSettled) return actions;
  }
  const isWanted = new Set(wanted);
  const condemned = [...byOrdinal].filter(([ordinal]) => !isWanted.has(ordinal));
  for (const [, pod] of condemned.toSorted(([a], [b]) => b - a)) {
    if (!isDeleted(pod)) actions.push(remove(pods, pod));
    if (isOrdered) return actions;
  }
  return actions.length > 0 ? actions : update(observed, wanted);
}

function isHealthy({ view, set }: Observed, pod: Pod): boolean {
  const { minReadySeconds = 0 } = set.spec;
  return !isDeleted(pod) && isAvailable(pod, minReadySeconds, view.nowMs);
}

/** What brings one ordinal into being: its claims, then its pod. */
function raise(observed: Observed, ordinal: number, pod: Pod | undefined): readonly Action[] {
  const { view, set } = observed;
  if (pod === undefined) {
    return [...claimsFor(view, set, ordinal), create(pods, makePod(observed, ordinal))];
  }
  if (isFinished(pod) && !isDeleted(pod)) return [remove(pods, pod)];
  return [];
}

function makePod(observed: Observed, ordinal: number): Pick<Pod, 'metadata' | 'spec'> {
  const { set, revisions } = observed;
  const { start = 0 } = set.spec.ordinals ?? {};
  const { type = 'RollingUpdate', rollingUpdate } = set.spec.updateStrategy ?? {};
  const isHeldBack = type === 'RollingUpdate' && ordinal < start + (rollingUpdate?.partition ?? 0);
  const current = revisions.all.find((one) => one.metadata.name === currentName(observed));
  const old = isHeldBack ? templateOf(current) : undefined;
  const template = old ?? set.spec.template;
  const name = `${set.metadata.name}-${ordinal}`;
  const pod = podOf(set, template, {
    name,
    labels: {
      [revisionLabel]: old === undefined ? revisions.updateName : currentName(observed),
      'statefulset.kubernetes.io/pod-name': name,
      'apps.kubernetes.io/pod-index': String(ordinal),
    },
  });
  const { serviceName } = set.spec;
  const place = serviceName === undefined ? {} : { subdomain: serviceName };
  const volumes = volumesFor(set, template, ordinal);
  return { ...pod, spec: { ...pod.spec, hostname: name, ...place, volumes } };
}

/** From the highest ordinal down to the partition, one pod at a time. */
function update(observed: Observed, wanted: readonly number[]): readonly Action[] {
  const { set, byOrdinal, revisions } = observed;
  const { type = 'RollingUpdate', rollingUpdate } = set.spec.updateStrategy ?? {};
  if (type !== 'RollingUpdate') return [];
  const from = (set.spec.ordinals?.start ?? 0) + (rollingUpdate?.partition ?? 0);
  for (const ordinal of wanted.toReversed()) {
    if (ordinal < from) return [];
    const pod = byOrdinal.get(ordinal);
    if (pod === undefined) return [];
    if (revisionOf(pod) !== revisions.updateName && !isDeleted(pod)) return [remove(pods, pod)];
    if (!isHealthy(observed, pod)) return [];
  }
  return [];
}

function report(observed: Observed): readonly Action[] {
  const { view, set, byOrdinal, revisions } = observed;
  const { minReadySeconds = 0, updateStrategy } = set.spec;
  const all = [...byOrdinal.values()];
  const alive = all.filter((pod) => !isDeleted(pod));
  const ready = alive.filter(isReady);
  const updated = alive.filter((pod) => revisionOf(pod) === revisions.updateName);
  const isWhole =
    updated.length === all.length &&
    ready.length === all.length &&
    all.length === (set.spec.replicas ?? 1);
  const isRolling = (updateStrategy?.type ?? 'RollingUpdate') === 'RollingUpdate';
  const currentRevision = isRolling && isWhole ? revisions.updateName : currentName(observed);
  return setStatus(statefulSets, set, {
    observedGeneration: set.metadata.generation,
    replicas: all.length,
    readyReplicas: ready.length,
    availableReplicas: ready.filter((pod) => isAvailable(pod, minReadySeconds, view.nowMs)).length,
    currentReplicas: alive.filter((pod) => revisionOf(pod) === currentRevision).length,
    updatedReplicas: updated.length,
    currentRevision,
    updateRevision: revisions.updateName,
    collisionCount: set.status?.collisionCount ?? 0,
  });
}
