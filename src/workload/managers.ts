/**
 * Who would undo a stop: GitOps, operators, autoscalers (U-35). Found by what they write on the
 * objects they manage, paused with their own switches.
 */
import type { KubeObject, ResourceType } from '../kube/objects.ts';
import { type FieldPath, textAt, valueAt } from './fields.ts';
import { groupOf, kindText, nameOf, type ObjectName } from './names.ts';
import type { UndoField } from './undo.ts';

export interface Placed {
  readonly type: ResourceType;
  readonly object: KubeObject;
}

/** A manager that an object names; its namespace is not always told. */
export interface ManagerReference {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
}

const argo = { group: 'argoproj.io', kind: 'Application' };
const fluxKustomize = { group: 'kustomize.toolkit.fluxcd.io', kind: 'Kustomization' };
const fluxHelm = { group: 'helm.toolkit.fluxcd.io', kind: 'HelmRelease' };

/** Kinds to read so that managers can be paused, cluster-wide. */
export const managerKinds: readonly { readonly group: string; readonly kind: string }[] = [
  argo,
  fluxKustomize,
  fluxHelm,
];

/** Who keeps the object as it is, as its labels and annotations tell. */
export function managersOf(object: KubeObject): readonly ManagerReference[] {
  const { annotations = {}, labels = {} } = object.metadata;
  const found: ManagerReference[] = [];
  // NAME:GROUP/KIND:NAMESPACE/NAME, with NAMESPACE_NAME for applications outside Argo's own.
  const tracked = annotations['argocd.argoproj.io/tracking-id']?.split(':')[0];
  if (tracked !== undefined && tracked !== '') {
    const at = tracked.indexOf('_');
    const namespace = at < 0 ? undefined : tracked.slice(0, at);
    found.push({ ...argo, namespace, name: tracked.slice(at + 1) });
  }
  for (const kind of [fluxKustomize, fluxHelm]) {
    const name = labels[`${kind.group}/name`];
    const namespace = labels[`${kind.group}/namespace`];
    if (name !== undefined) found.push({ ...kind, namespace, name });
  }
  return found;
}

export function isReferenced(reference: ManagerReference, { object }: Placed): boolean {
  const { group, kind, namespace, name } = nameOf(object);
  return (
    reference.group === group &&
    reference.kind === kind &&
    reference.name === name &&
    (reference.namespace === undefined || reference.namespace === namespace)
  );
}

/** A field that stops or pauses, and what it must say. */
interface Switch {
  readonly path: FieldPath;
  readonly during: unknown;
  /** Nothing is to be done where there is nothing. */
  readonly onlyWhereSet?: boolean;
}

const pauses: Readonly<Record<string, Switch>> = {
  'argoproj.io/Application': {
    path: ['spec', 'syncPolicy', 'automated'],
    during: null,
    onlyWhereSet: true,
  },
  'kustomize.toolkit.fluxcd.io/Kustomization': { path: ['spec', 'suspend'], during: true },
  'helm.toolkit.fluxcd.io/HelmRelease': { path: ['spec', 'suspend'], during: true },
  'keda.sh/ScaledObject': {
    path: ['metadata', 'annotations', 'autoscaling.keda.sh/paused'],
    during: 'true',
  },
  'kafka.strimzi.io/Kafka': {
    path: ['metadata', 'annotations', 'strimzi.io/pause-reconciliation'],
    during: 'true',
  },
  'rabbitmq.com/RabbitmqCluster': {
    path: ['metadata', 'labels', 'rabbitmq.com/pauseReconciliation'],
    during: 'true',
  },
};

const eckGroup = /\.k8s\.elastic\.co$/;

/** Resources whose operator stops their pods itself when told so. */
const stops: Readonly<Record<string, Switch>> = {
  'postgresql.cnpg.io/Cluster': {
    path: ['metadata', 'annotations', 'cnpg.io/hibernation'],
    during: 'on',
  },
  'postgres-operator.crunchydata.com/PostgresCluster': {
    path: ['spec', 'shutdown'],
    during: true,
  },
  'pxc.percona.com/PerconaXtraDBCluster': { path: ['spec', 'pause'], during: true },
  'psmdb.percona.com/PerconaServerMongoDB': { path: ['spec', 'pause'], during: true },
};

function fieldOf(object: KubeObject, found: Switch | undefined): UndoField | undefined {
  if (found === undefined) return undefined;
  const before = valueAt(object, found.path) ?? null;
  return { path: found.path, before, during: found.during };
}

/** The field that pauses a manager: `before` equal to `during` when it is paused already. */
export function pauseOf(object: KubeObject): UndoField | undefined {
  const key = kindText(nameOf(object));
  if (eckGroup.test(groupOf(object.apiVersion))) {
    const path = ['metadata', 'annotations', 'eck.k8s.elastic.co/managed'];
    return fieldOf(object, { path, during: 'false' });
  }
  return fieldOf(object, pauses[key]);
}

/** The field that makes an operator stop the pods of a resource of its own. */
export function operatorStopOf(object: KubeObject): UndoField | undefined {
  return fieldOf(object, stops[kindText(nameOf(object))]);
}

/** What scales a workload: HorizontalPodAutoscaler, ScaledObject, and kinds like them. */
export function scales(scaler: KubeObject, target: ObjectName): boolean {
  const path = ['spec', 'scaleTargetRef'];
  const group = groupOf(textAt(scaler, ...path, 'apiVersion') ?? 'apps/v1');
  return (
    scaler.metadata.namespace === target.namespace &&
    textAt(scaler, ...path, 'name') === target.name &&
    (textAt(scaler, ...path, 'kind') ?? 'Deployment') === target.kind &&
    group === target.group
  );
}
