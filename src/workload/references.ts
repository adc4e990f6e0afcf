/**
 * What an object names and cannot do without: accounts, claims, classes, secrets. One table for
 * what is missing, what is needed outside the namespace, and what must be made first.
 */
import type { KubeObject } from '../kube/objects.ts';
import { type FieldPath, fieldsAt, fieldsListAt, pathText, textAt, valueAt } from './fields.ts';
import { groupOf, type ObjectName } from './names.ts';
import { containerLists, podSpecPaths } from './pod-specs.ts';

export interface Reference {
  readonly to: ObjectName;
  /** Where it is named: `spec.template.spec.volumes`. */
  readonly field: string;
  /** The object works without it. */
  readonly optional: boolean;
}

export const rbac = 'rbac.authorization.k8s.io';

interface Named {
  readonly group?: string;
  readonly kind: string;
  /** Undefined: the reference names nothing. */
  readonly name: string | undefined;
  /** Of the object itself when not given; empty for what has none. */
  readonly namespace?: string;
  readonly optional?: boolean;
}

/** Collects the references of one object. */
class Collector {
  readonly found: Reference[] = [];
  readonly #namespace: string;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  add(field: FieldPath, { group = '', kind, name, namespace, optional = false }: Named): void {
    if (name === undefined) return;
    const to = { group, kind, namespace: namespace ?? this.#namespace, name };
    this.found.push({ to, field: pathText(field), optional });
  }
}

export function referencesOf(object: KubeObject): readonly Reference[] {
  const collector = new Collector(object.metadata.namespace ?? '');
  for (const path of podSpecPaths(object)) addPodSpec(collector, valueAt(object, path), path);
  readers[`${groupOf(object.apiVersion)}/${object.kind}`]?.(collector, object);
  addScaleTarget(collector, object);
  return collector.found;
}

function addPodSpec(to: Collector, spec: unknown, path: FieldPath): void {
  const at = (...names: FieldPath): FieldPath => [...path, ...names];
  const account = textAt(spec, 'serviceAccountName') ?? textAt(spec, 'serviceAccount');
  // Every namespace has it.
  if (account !== 'default') {
    to.add(at('serviceAccountName'), { kind: 'ServiceAccount', name: account });
  }
  to.add(at('priorityClassName'), priorityClass(textAt(spec, 'priorityClassName')));
  to.add(at('runtimeClassName'), {
    group: 'node.k8s.io',
    kind: 'RuntimeClass',
    name: textAt(spec, 'runtimeClassName'),
    namespace: '',
  });
  for (const one of fieldsListAt(spec, 'imagePullSecrets')) {
    to.add(at('imagePullSecrets'), { kind: 'Secret', name: textAt(one, 'name'), optional: true });
  }
  for (const volume of fieldsListAt(spec, 'volumes')) addVolume(to, volume, at('volumes'));
  for (const list of containerLists) {
    for (const container of fieldsListAt(spec, list)) addContainer(to, container, at(list));
  }
}

const isOptional = (source: unknown): boolean => fieldsAt(source)['optional'] === true;

function addVolume(to: Collector, volume: unknown, field: FieldPath): void {
  const sources = [
    { configMap: valueAt(volume, ['configMap']), secret: valueAt(volume, ['secret']) },
    ...fieldsListAt(volume, 'projected', 'sources'),
  ];
  for (const source of sources) {
    const { configMap, secret } = source as { configMap?: unknown; secret?: unknown };
    to.add(field, {
      kind: 'ConfigMap',
      name: textAt(configMap, 'name'),
      optional: isOptional(configMap),
    });
    const name = textAt(secret, 'secretName') ?? textAt(secret, 'name');
    to.add(field, { kind: 'Secret', name, optional: isOptional(secret) });
  }
  const claim = textAt(volume, 'persistentVolumeClaim', 'claimName');
  to.add(field, { kind: 'PersistentVolumeClaim', name: claim });
  addClasses(to, fieldsAt(volume, 'ephemeral', 'volumeClaimTemplate', 'spec'), field);
  const secret = textAt(volume, 'csi', 'nodePublishSecretRef', 'name');
  to.add(field, { kind: 'Secret', name: secret });
}

function addContainer(to: Collector, container: unknown, field: FieldPath): void {
  const add = (kind: string, source: unknown): void =>
    to.add(field, { kind, name: textAt(source, 'name'), optional: isOptional(source) });
  for (const variable of fieldsListAt(container, 'env')) {
    add('ConfigMap', valueAt(variable, ['valueFrom', 'configMapKeyRef']));
    add('Secret', valueAt(variable, ['valueFrom', 'secretKeyRef']));
  }
  for (const source of fieldsListAt(container, 'envFrom')) {
    add('ConfigMap', source['configMapRef']);
    add('Secret', source['secretRef']);
  }
}

/** Classes that every cluster brings along. */
function priorityClass(name: string | undefined): Named {
  const isOwn = name !== undefined && !name.startsWith('system-');
  const kind = 'PriorityClass';
  return { group: 'scheduling.k8s.io', kind, name: isOwn ? name : undefined, namespace: '' };
}

/** Of the spec of a claim, or of what claims are made of. */
function addClasses(to: Collector, spec: unknown, path: FieldPath): void {
  for (const [field, kind] of [
    ['storageClassName', 'StorageClass'],
    ['volumeAttributesClassName', 'VolumeAttributesClass'],
  ] as const) {
    to.add([...path, field], {
      group: 'storage.k8s.io',
      kind,
      name: textAt(spec, field),
      namespace: '',
    });
  }
}

/** Of HorizontalPodAutoscaler, ScaledObject and whatever else scales in their way. */
function addScaleTarget(to: Collector, object: KubeObject): void {
  const target = fieldsAt(object, 'spec', 'scaleTargetRef');
  const group = groupOf(textAt(target, 'apiVersion') ?? 'apps/v1');
  const kind = textAt(target, 'kind') ?? 'Deployment';
  to.add(['spec', 'scaleTargetRef'], { group, kind, name: textAt(target, 'name'), optional: true });
}

type Reader = (to: Collector, object: KubeObject) => void;

const readClaim: Reader = (to, object) => {
  addClasses(to, fieldsAt(object, 'spec'), ['spec']);
  const name = textAt(object, 'spec', 'volumeName');
  to.add(['spec', 'volumeName'], { kind: 'PersistentVolume', name, namespace: '' });
};

const readSet: Reader = (to, object) => {
  const name = textAt(object, 'spec', 'serviceName');
  to.add(['spec', 'serviceName'], { kind: 'Service', name, optional: true });
  for (const template of fieldsListAt(object, 'spec', 'volumeClaimTemplates')) {
    addClasses(to, fieldsAt(template, 'spec'), ['spec', 'volumeClaimTemplates']);
  }
};

const readAccount: Reader = (to, object) => {
  for (const list of ['secrets', 'imagePullSecrets']) {
    for (const one of fieldsListAt(object, list)) {
      to.add([list], { kind: 'Secret', name: textAt(one, 'name'), optional: list === 'secrets' });
    }
  }
};

const readBinding: Reader = (to, object) => {
  const kind = textAt(object, 'roleRef', 'kind') ?? '';
  const scope = kind === 'ClusterRole' ? { namespace: '' } : {};
  to.add(['roleRef'], { group: rbac, kind, name: textAt(object, 'roleRef', 'name'), ...scope });
  for (const subject of fieldsListAt(object, 'subjects')) {
    if (subject['kind'] !== 'ServiceAccount') continue;
    const namespace = textAt(subject, 'namespace');
    to.add(['subjects'], {
      kind: 'ServiceAccount',
      name: textAt(subject, 'name'),
      optional: true,
      ...(namespace === undefined ? {} : { namespace }),
    });
  }
};

const readIngress: Reader = (to, object) => {
  const name =
    textAt(object, 'spec', 'ingressClassName') ??
    object.metadata.annotations?.['kubernetes.io/ingress.class'];
  const group = 'networking.k8s.io';
  to.add(['spec', 'ingressClassName'], { group, kind: 'IngressClass', name, namespace: '' });
  for (const entry of fieldsListAt(object, 'spec', 'tls')) {
    const secret = textAt(entry, 'secretName');
    to.add(['spec', 'tls'], { kind: 'Secret', name: secret, optional: true });
  }
  const backends = [
    valueAt(object, ['spec', 'defaultBackend']),
    ...fieldsListAt(object, 'spec', 'rules')
      .flatMap((rule) => fieldsListAt(rule, 'http', 'paths'))
      .map((path) => path['backend']),
  ];
  for (const backend of backends) {
    const service = textAt(backend, 'service', 'name');
    to.add(['spec', 'rules'], { kind: 'Service', name: service, optional: true });
  }
};

const readWebhooks: Reader = (to, object) => {
  for (const webhook of fieldsListAt(object, 'webhooks')) {
    const service = fieldsAt(webhook, 'clientConfig', 'service');
    const namespace = textAt(service, 'namespace') ?? '';
    to.add(['webhooks'], { kind: 'Service', name: textAt(service, 'name'), namespace });
  }
};

const readers: Readonly<Record<string, Reader>> = {
  '/PersistentVolumeClaim': readClaim,
  '/ServiceAccount': readAccount,
  'apps/StatefulSet': readSet,
  [`${rbac}/RoleBinding`]: readBinding,
  [`${rbac}/ClusterRoleBinding`]: readBinding,
  'networking.k8s.io/Ingress': readIngress,
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': readWebhooks,
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': readWebhooks,
};
