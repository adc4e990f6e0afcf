/** The ways to agents: a Service for peers, and who may come at all. */
import type { KubeObject } from '../../kube/objects.ts';
import {
  components,
  controlPort,
  metricsPort,
  partOf,
  peerPort,
  systemNamespace,
} from './names.ts';
import type { Values } from './values.ts';

const nameLabel = { 'app.kubernetes.io/name': partOf['app.kubernetes.io/name'] };
const agents = { ...nameLabel, ...components.agent };

/** A connection ends at the node it came to: the agent there is the one it was meant for. */
export function peerService(values: Values): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'transship-peers',
      namespace: systemNamespace,
      labels: { ...partOf, ...components.agent },
      annotations: values.block('peers.annotations'),
    },
    spec: {
      type: values.text('peers.service'),
      externalTrafficPolicy: 'Local',
      selector: agents,
      ports: [
        {
          name: 'peers',
          protocol: 'TCP',
          port: values.number('peers.servicePort'),
          targetPort: peerPort,
          nodePort: values.number('peers.nodePort'),
        },
      ],
    },
  } as unknown as KubeObject;
}

function policy(name: string, spec: object): KubeObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: systemNamespace, labels: partOf },
    spec: { policyTypes: ['Ingress'], ...spec },
  } as KubeObject;
}

const port = (number: number) => [{ protocol: 'TCP', port: number }];

/** Pods of any namespace read metrics: which of them is a Prometheus, nobody can say here. */
export function metricsPolicy(): KubeObject {
  return policy('transship-metrics', {
    podSelector: { matchLabels: nameLabel },
    ingress: [{ ports: port(metricsPort), from: [{ namespaceSelector: {} }] }],
  });
}

/** Peers come to agents, controllers to their control ports, nobody to anything else. */
export function networkPolicies(): readonly KubeObject[] {
  const controllers = { podSelector: { matchLabels: { ...nameLabel, ...components.controller } } };
  return [
    policy('transship-closed', { podSelector: { matchLabels: nameLabel } }),
    policy('transship-agents', {
      podSelector: { matchLabels: agents },
      ingress: [{ ports: port(peerPort) }, { ports: port(controlPort), from: [controllers] }],
    }),
  ];
}
