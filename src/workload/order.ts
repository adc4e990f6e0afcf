/**
 * In which order objects are made, so that each finds what it names; deleting goes the other way.
 * What is named decides; among the rest the kind does, then the name, so that runs are alike.
 */
import { compareNames, kindText, nameKey, type ObjectName } from './names.ts';
import { type Reference, rbac } from './references.ts';

export interface Orderable {
  readonly name: ObjectName;
  readonly references: readonly Reference[];
  /** Uids; an owner comes before what it owns. */
  readonly uid?: string;
  readonly owners?: readonly { readonly uid: string }[];
}

export interface Ordered<T> {
  readonly order: readonly T[];
  /** Objects that name each other: the first was made before what it names. */
  readonly cycles: readonly { readonly from: ObjectName; readonly to: ObjectName }[];
}

const ranks: readonly (readonly string[])[] = [
  ['Namespace'],
  ['apiextensions.k8s.io/CustomResourceDefinition'],
  [
    'storage.k8s.io/StorageClass',
    'scheduling.k8s.io/PriorityClass',
    'node.k8s.io/RuntimeClass',
    'networking.k8s.io/IngressClass',
  ],
  [`${rbac}/ClusterRole`],
  [`${rbac}/ClusterRoleBinding`],
  ['ResourceQuota', 'LimitRange'],
  ['ServiceAccount'],
  ['Secret'],
  ['ConfigMap'],
  [`${rbac}/Role`],
  [`${rbac}/RoleBinding`],
  ['PersistentVolume'],
  ['PersistentVolumeClaim'],
  ['networking.k8s.io/NetworkPolicy'],
  ['Service', 'Endpoints', 'discovery.k8s.io/EndpointSlice'],
];

const workloads: readonly string[] = [
  'Pod',
  'ReplicationController',
  'apps/ReplicaSet',
  'apps/StatefulSet',
  'apps/DaemonSet',
  'apps/Deployment',
  'apps.openshift.io/DeploymentConfig',
  'batch/Job',
  'batch/CronJob',
];

/** They act on what is there already. */
const followers: readonly string[] = [
  'policy/PodDisruptionBudget',
  'autoscaling/HorizontalPodAutoscaler',
  'keda.sh/ScaledObject',
  'networking.k8s.io/Ingress',
  'route.openshift.io/Route',
];

const rankOfKind: ReadonlyMap<string, number> = new Map(
  [
    ...ranks.map((kinds, rank) => ({ kinds, rank })),
    { kinds: workloads, rank: ranks.length + 1 },
    { kinds: followers, rank: ranks.length + 2 },
  ].flatMap(({ kinds, rank }) => kinds.map((kind) => [kind, rank] as const)),
);

/** Kinds that nobody here knows come before workloads: these may wait for what serves those. */
function rankOf(name: ObjectName): number {
  // Webhooks and extension servers last: their services must answer before they stand in the way.
  if (['admissionregistration.k8s.io', 'apiregistration.k8s.io'].includes(name.group)) return 1000;
  return rankOfKind.get(kindText(name)) ?? ranks.length;
}

export function orderForApply<T extends Orderable>(objects: readonly T[]): Ordered<T> {
  const ordering = new Ordering(objects);
  return { order: ordering.run(), cycles: ordering.cycles };
}

export function orderForDelete<T extends Orderable>(objects: readonly T[]): readonly T[] {
  return orderForApply(objects).order.toReversed();
}

class Ordering<T extends Orderable> {
  readonly cycles: { from: ObjectName; to: ObjectName }[] = [];
  readonly #sorted: readonly T[];
  readonly #byKey: ReadonlyMap<string, T>;
  readonly #byUid: ReadonlyMap<string, T>;
  readonly #state = new Map<T, 'Begun' | 'Done'>();
  readonly #order: T[] = [];

  constructor(objects: readonly T[]) {
    this.#sorted = objects.toSorted(
      (a, b) => rankOf(a.name) - rankOf(b.name) || compareNames(a.name, b.name),
    );
    this.#byKey = new Map(objects.map((one) => [nameKey(one.name), one]));
    this.#byUid = new Map(
      objects.flatMap((one) => (one.uid === undefined ? [] : [[one.uid, one] as const])),
    );
  }

  run(): readonly T[] {
    for (const one of this.#sorted) this.#visit(one);
    return this.#order;
  }

  #before(object: T): readonly T[] {
    const owners = (object.owners ?? []).map(({ uid }) => this.#byUid.get(uid));
    const named = object.references.map(({ to }) => this.#byKey.get(nameKey(to)));
    return [...owners, ...named].filter((one) => one !== undefined && one !== object) as T[];
  }

  /** Depth first, on a stack of its own: chains may be as long as there are objects. */
  #visit(first: T): void {
    if (this.#state.has(first)) return;
    const stack = [{ object: first, waits: this.#before(first), at: 0 }];
    this.#state.set(first, 'Begun');
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.waits[top.at++];
      if (next === undefined) {
        this.#state.set(top.object, 'Done');
        this.#order.push(top.object);
        stack.pop();
        continue;
      }
      const state = this.#state.get(next);
      if (state === 'Begun') this.cycles.push({ from: top.object.name, to: next.name });
      if (state !== undefined) continue;
      this.#state.set(next, 'Begun');
      stack.push({ object: next, waits: this.#before(next), at: 0 });
    }
  }
}
