/**
 * What is never copied, because something at the destination makes it again or because it means
 * nothing there. The list of MTC (migration-operator's excluded resources) is in it, kind by kind.
 */
import type { KubeObject } from '../kube/objects.ts';
import { fieldsListAt, isFields, textAt, valueAt } from './fields.ts';
import { isOurs } from './ours.ts';

interface Exclusion {
  /** Undefined: any group. */
  readonly group?: string;
  /** Undefined: any kind of the group. */
  readonly kind?: string;
  /** Undefined: all of them. */
  readonly when?: (object: KubeObject) => boolean;
  readonly why: string;
}

const annotation = (object: KubeObject, name: string): string | undefined =>
  object.metadata.annotations?.[name];
const label = (object: KubeObject, name: string): string | undefined =>
  object.metadata.labels?.[name];

const isNamed =
  (...names: readonly string[]) =>
  (object: KubeObject): boolean =>
    names.includes(object.metadata.name ?? '');

export function hasCondition(object: KubeObject, ...types: readonly string[]): boolean {
  return fieldsListAt(object, 'status', 'conditions').some(
    (one) => one['status'] === 'True' && types.includes(String(one['type'])),
  );
}

const generatedSecret = /-(token|dockercfg)-[a-z0-9]{5}$/;

/** The token and registry secrets that clusters make for service accounts by themselves. */
export function isGeneratedSecretName(name: string): boolean {
  return generatedSecret.test(name);
}

/** Nothing in a service account that its namespace would not give it anyway. */
function isPlainAccount(object: KubeObject): boolean {
  const pulls = fieldsListAt(object, 'imagePullSecrets').map((one) => textAt(one, 'name') ?? '');
  const notes = Object.keys(object.metadata.annotations ?? {}).filter(
    (name) => !name.startsWith('openshift.io/'),
  );
  const isAutomatic = valueAt(object, ['automountServiceAccountToken']) === undefined;
  return pulls.every(isGeneratedSecretName) && notes.length === 0 && isAutomatic;
}

const tokenTypes = ['kubernetes.io/service-account-token', 'bootstrap.kubernetes.io/token'];
const metricGroups = ['metrics.k8s.io', 'custom.metrics.k8s.io', 'external.metrics.k8s.io'];
const derivedImages = ['ImageTag', 'ImageStreamTag', 'ImageStreamImage'];

const table: readonly Exclusion[] = [
  { when: isOurs, why: 'Transship made it for a move' },
  { group: '', kind: 'Event', why: 'events tell the past of this cluster' },
  { group: 'events.k8s.io', why: 'events tell the past of this cluster' },
  ...metricGroups.map((group) => ({ group, why: 'measurements, not objects' })),
  { group: 'transship.dev', why: 'describes moves of this cluster' },
  {
    group: 'coordination.k8s.io',
    kind: 'Lease',
    why: 'says who holds a lock in this cluster; its holder makes it again',
  },
  {
    group: '',
    kind: 'ConfigMap',
    when: isNamed('kube-root-ca.crt', 'openshift-service-ca.crt'),
    why: 'every namespace gets its own with the certificates of its cluster',
  },
  {
    group: '',
    kind: 'ConfigMap',
    when: (object) => annotation(object, 'control-plane.alpha.kubernetes.io/leader') !== undefined,
    why: 'says who holds a lock in this cluster; its holder makes it again',
  },
  {
    group: '',
    kind: 'Secret',
    when: (object) => tokenTypes.includes(textAt(object, 'type') ?? ''),
    why: 'a token is valid in the cluster that made it only',
  },
  {
    group: '',
    kind: 'Secret',
    when: (object) =>
      annotation(object, 'openshift.io/token-secret.name') !== undefined ||
      annotation(object, 'openshift.io/internal-registry-auth-token.service-account') !== undefined,
    why: 'opens the registry of this cluster; service accounts get their own',
  },
  {
    group: '',
    kind: 'ServiceAccount',
    when: (object) => isNamed('default', 'builder', 'deployer')(object) && isPlainAccount(object),
    why: 'every namespace has it, and this one has nothing of its own',
  },
  {
    group: '',
    kind: 'Pod',
    when: (object) => annotation(object, 'kubernetes.io/config.mirror') !== undefined,
    why: 'shows a static pod of a node',
  },
  {
    group: '',
    kind: 'Pod',
    when: (object) => ['Succeeded', 'Failed'].includes(textAt(object, 'status', 'phase') ?? ''),
    why: 'it has ended; a copy would run again',
  },
  {
    group: 'batch',
    kind: 'Job',
    when: (object) => hasCondition(object, 'Complete', 'Failed'),
    why: 'it has ended; a copy would run again',
  },
  {
    group: 'apps',
    kind: 'ControllerRevision',
    why: 'history of a workload, which starts anew at the destination',
  },
  {
    group: 'discovery.k8s.io',
    kind: 'EndpointSlice',
    when: (object) =>
      label(object, 'endpointslice.kubernetes.io/managed-by')?.endsWith('.k8s.io') ?? false,
    why: 'made from a service and its pods',
  },
  {
    group: '',
    kind: 'Endpoints',
    when: (object) => label(object, 'endpoints.kubernetes.io/managed-by') === 'endpoint-controller',
    why: 'made from a service and its pods',
  },
  { group: 'storage.k8s.io', kind: 'CSIStorageCapacity', why: 'measured by the driver' },
  {
    group: 'snapshot.storage.k8s.io',
    why: 'names data in the storage of this cluster',
  },
  {
    group: 'rbac.authorization.k8s.io',
    kind: 'RoleBinding',
    when: isNamed('system:deployers', 'system:image-builders', 'system:image-pullers'),
    why: 'every project has it',
  },
  { group: 'authorization.openshift.io', why: 'shows the objects of rbac.authorization.k8s.io' },
  ...derivedImages.map((kind) => ({
    group: 'image.openshift.io',
    kind,
    why: 'a view of an ImageStream',
  })),
  { group: 'packages.operators.coreos.com', why: 'a view of a catalogue' },
  {
    group: 'operators.coreos.com',
    kind: 'ClusterServiceVersion',
    when: (object) => label(object, 'olm.copiedFrom') !== undefined,
    why: 'a copy that its operator puts into every namespace',
  },
  ...['build.openshift.io'].map((group) => ({
    group,
    kind: 'Build',
    why: 'a run of a BuildConfig; a copy would build again',
  })),
];

/** Why an object is never copied, whatever the user selects; undefined when it can be. */
export function whyExcluded(group: string, object: KubeObject): string | undefined {
  if (object.metadata.deletionTimestamp !== undefined) return 'it is being deleted';
  return table.find(
    (one) =>
      (one.group === undefined || one.group === group) &&
      (one.kind === undefined || one.kind === object.kind) &&
      (one.when === undefined || one.when(object)),
  )?.why;
}

/** A kind none of whose objects are ever copied: it need not even be listed. */
export function whyKindExcluded(group: string, kind: string): string | undefined {
  return table.find(
    (one) =>
      one.when === undefined &&
      one.group === group &&
      (one.kind === undefined || one.kind === kind),
  )?.why;
}

/** What an object says about itself that others need to judge it. */
export function selectsPods(service: KubeObject): boolean {
  const selector = valueAt(service, ['spec', 'selector']);
  return isFields(selector) && Object.keys(selector).length > 0;
}
