/**
 * All objects of an installation in a real cluster, in the order in which they are applied. The
 * chart, deploy/install.yaml and `transship install` are made of this.
 */
import { kinds } from '../../api/kinds/all.ts';
import { crdOf } from '../../api/kinds/crd.ts';
import type { KubeObject } from '../../kube/objects.ts';
import type { ServiceAccount } from '../../kube/resources.ts';
import { accessObjects, migrateBinding, serviceAccount, storageClass } from '../installation.ts';
import { driver } from '../labels.ts';
import { nodeAccount, partOf, systemNamespace } from './names.ts';
import { monitors } from './monitoring.ts';
import { metricsPolicy, networkPolicies, peerService } from './network.ts';
import type { Values } from './values.ts';
import { agentDaemonSet, controllerDeployment, devicesDaemonSet } from './workloads.ts';

export interface Part {
  readonly object: KubeObject;
  /** The values without which it is left out. */
  readonly when?: readonly string[];
}

export function definitions(): readonly KubeObject[] {
  return kinds.map(crdOf) as unknown as readonly KubeObject[];
}

/** Without the kinds: see `definitions`. */
export function installationParts(values: Values): readonly Part[] {
  const always = (objects: readonly KubeObject[]): readonly Part[] =>
    objects.map((object) => ({ object }));
  return [
    { object: namespaceObject(), when: ['createNamespace'] },
    ...always(accessObjects()),
    { object: nodeAccountObject() },
    { object: migrateBinding(), when: ['migrations'] },
    ...always([csiDriver()]),
    { object: chosenClass(values), when: ['storageClass.create'] },
    ...networkPolicies().map((object) => ({ object, when: ['networkPolicies'] })),
    { object: metricsPolicy(), when: ['networkPolicies', 'monitoring.enabled'] },
    { object: peerService(values), when: ['peers.service'] },
    ...monitors(values).map((object) => ({ object, when: ['monitoring.serviceMonitor.enabled'] })),
    ...always([controllerDeployment(values), devicesDaemonSet(values), agentDaemonSet(values)]),
  ];
}

/** What is chosen, of `installationParts`. */
export function chosenObjects(values: Values): readonly KubeObject[] {
  return installationParts(values).flatMap(({ object, when = [] }) =>
    when.every((path) => values.has(path)) ? [object] : [],
  );
}

/** Agents use directories of their nodes, devices and drivers their mounts. */
export function namespaceObject(): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: systemNamespace,
      labels: {
        ...partOf,
        'pod-security.kubernetes.io/enforce': 'privileged',
        'pod-security.kubernetes.io/warn': 'privileged',
        'pod-security.kubernetes.io/audit': 'restricted',
      },
    },
  };
}

/** Pods on nodes get no token of it. */
function nodeAccountObject(): KubeObject {
  const account: ServiceAccount = serviceAccount(nodeAccount);
  return { ...account, automountServiceAccountToken: false } as ServiceAccount;
}

function csiDriver(): KubeObject {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'CSIDriver',
    metadata: { name: driver, labels: partOf },
    spec: {
      // So that Kubernetes asks before a pod gets a volume whose leader is on another node.
      attachRequired: true,
      podInfoOnMount: false,
      fsGroupPolicy: 'File',
      volumeLifecycleModes: ['Persistent'],
    },
  } as KubeObject;
}

function chosenClass(values: Values): KubeObject {
  const made = storageClass(false);
  const isDefault = String(values.text('storageClass.default'));
  return {
    ...made,
    metadata: {
      ...made.metadata,
      annotations: { 'storageclass.kubernetes.io/is-default-class': isDefault },
    },
    reclaimPolicy: values.text('storageClass.reclaimPolicy'),
    volumeBindingMode: values.text('storageClass.bindingMode'),
  } as KubeObject;
}
