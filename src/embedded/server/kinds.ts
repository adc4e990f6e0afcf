/**
 * What the server does to objects of certain built-in kinds beyond their schema: first statuses,
 * generations, which fields may not change.
 */
import type { JsonObject, ServedResource } from '../schema/api.ts';
import { metaOf, objectAt, sameJson, textAt, textsAt, withKeys } from './json.ts';

const nameOfKind = ({ group, plural }: ServedResource): string => `${group}/${plural}`;

/** Built-in kinds whose objects have `metadata.generation`; custom resources always do. */
const withGeneration: ReadonlySet<string> = new Set([
  '/pods',
  '/replicationcontrollers',
  'admissionregistration.k8s.io/mutatingwebhookconfigurations',
  'admissionregistration.k8s.io/validatingadmissionpolicies',
  'admissionregistration.k8s.io/validatingwebhookconfigurations',
  'apiextensions.k8s.io/customresourcedefinitions',
  'apps/daemonsets',
  'apps/deployments',
  'apps/replicasets',
  'apps/statefulsets',
  'batch/cronjobs',
  'batch/jobs',
  'discovery.k8s.io/endpointslices',
  'networking.k8s.io/ingressclasses',
  'networking.k8s.io/ingresses',
  'networking.k8s.io/networkpolicies',
  'policy/poddisruptionbudgets',
]);

/** PUT without a resourceVersion is refused. So it is for custom resources. */
const conditionalOnly: ReadonlySet<string> = new Set([
  'apiextensions.k8s.io/customresourcedefinitions',
  'coordination.k8s.io/leases',
  'policy/poddisruptionbudgets',
]);

export function hasGeneration(resource: ServedResource): boolean {
  return !resource.builtIn || withGeneration.has(nameOfKind(resource));
}

export function requiresVersion(resource: ServedResource): boolean {
  return !resource.builtIn || conditionalOnly.has(nameOfKind(resource));
}

const firstStatuses: Readonly<Record<string, JsonObject>> = {
  '/namespaces': { phase: 'Active' },
  '/persistentvolumeclaims': { phase: 'Pending' },
  '/persistentvolumes': { phase: 'Pending' },
  '/pods': { phase: 'Pending' },
  '/services': { loadBalancer: {} },
  'networking.k8s.io/ingresses': { loadBalancer: {} },
  // Numbers that are always there, also as 0: the kinds' schemas require them.
  '/replicationcontrollers': { replicas: 0 },
  'apps/replicasets': { replicas: 0 },
  'apps/statefulsets': { replicas: 0, availableReplicas: 0 },
  'apps/daemonsets': {
    currentNumberScheduled: 0,
    numberMisscheduled: 0,
    desiredNumberScheduled: 0,
    numberReady: 0,
  },
  'policy/poddisruptionbudgets': {
    disruptionsAllowed: 0,
    currentHealthy: 0,
    desiredHealthy: 0,
    expectedPods: 0,
  },
};

/** A new object's status: what clients gave is dropped where status is a sub-resource. */
export function withFirstStatus(resource: ServedResource, object: JsonObject): JsonObject {
  if (!resource.subresources.status) return object;
  const name = nameOfKind(resource);
  // Nodes register themselves with their status.
  if (resource.builtIn && name === '/nodes') return object;
  const first = resource.builtIn ? (firstStatuses[name] ?? {}) : undefined;
  if (name === '/pods') {
    return withKeys(object, {
      status: { ...first, qosClass: qosClassOf(objectAt(object, 'spec')) },
    });
  }
  return withKeys(object, { status: first });
}

function qosClassOf(spec: JsonObject): string {
  const containers = [...listOf(spec, 'initContainers'), ...listOf(spec, 'containers')];
  const resources = containers.map((container) => objectAt(container, 'resources'));
  const isEmpty = resources.every((of) =>
    ['requests', 'limits'].every((key) => Object.keys(objectAt(of, key)).length === 0),
  );
  if (isEmpty) return 'BestEffort';
  const isExact = resources.every((of) => {
    const limits = objectAt(of, 'limits');
    const requests = { ...limits, ...objectAt(of, 'requests') };
    return ['cpu', 'memory'].every(
      (key) => limits[key] !== undefined && sameJson(limits[key], requests[key]),
    );
  });
  return isExact ? 'Guaranteed' : 'Burstable';
}

function listOf(object: JsonObject, key: string): readonly JsonObject[] {
  const value = object[key];
  return Array.isArray(value) ? value : [];
}

/** Other things that a server fills into a new object. */
export function prepareNew(resource: ServedResource, object: JsonObject): JsonObject {
  if (!resource.builtIn) return object;
  const name = nameOfKind(resource);
  if (name === 'batch/jobs') return selectingJob(object);
  return name === '/namespaces' ? namedNamespace(object) : object;
}

function namedNamespace(object: JsonObject): JsonObject {
  const spec = objectAt(object, 'spec');
  const finalizers = [...new Set([...textsAt(spec, 'finalizers'), 'kubernetes'])];
  const meta = metaOf(object);
  const labels = {
    ...objectAt(meta, 'labels'),
    'kubernetes.io/metadata.name': textAt(meta, 'name'),
  };
  return { ...object, metadata: { ...meta, labels }, spec: { ...spec, finalizers } };
}

/** A Job finds its pods by its own uid, unless somebody chose otherwise. */
function selectingJob(object: JsonObject): JsonObject {
  const spec = objectAt(object, 'spec');
  if (spec['manualSelector'] === true) return object;
  const { uid = '', name = '' } = metaOf(object);
  const own = {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'job-name': name,
  };
  const template = objectAt(spec, 'template');
  const meta = metaOf(template);
  const labels = { ...objectAt(meta, 'labels'), ...own };
  const selector = { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } };
  const changed = { ...template, metadata: { ...meta, labels } };
  const ofJob = metaOf(object);
  return {
    ...object,
    metadata: { ...ofJob, labels: ofJob['labels'] ?? labels },
    spec: { ...spec, manualSelector: false, selector, template: changed },
  };
}

/** Namespaces carry their name as a label, whatever a client does; finalizers go by `finalize`. */
export function prepareChanged(
  resource: ServedResource,
  object: JsonObject,
  live: JsonObject,
): JsonObject {
  const name = nameOfKind(resource);
  if (!resource.builtIn || name !== '/namespaces') return object;
  const finalizers = objectAt(live, 'spec')['finalizers'];
  const spec = withKeys(objectAt(object, 'spec'), { finalizers });
  const meta = metaOf(object);
  const labels = {
    ...objectAt(meta, 'labels'),
    'kubernetes.io/metadata.name': textAt(metaOf(live), 'name'),
  };
  return { ...object, metadata: { ...meta, labels }, spec };
}

const isOfStatus: ReadonlySet<string> = new Set(['metadata', 'status', 'apiVersion', 'kind']);

/** Does the change count as one of the specification? */
export function changesSpec(
  resource: ServedResource,
  object: JsonObject,
  live: JsonObject,
): boolean {
  const keys = new Set([...Object.keys(object), ...Object.keys(live)]);
  return [...keys].some((key) => {
    if (isOfStatus.has(key) && (key !== 'status' || resource.subresources.status)) return false;
    return !sameJson(object[key], live[key]);
  });
}
