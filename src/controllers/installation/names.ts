/** Names that the objects of an installation have, and those who look for them. */
export const systemNamespace = 'transship-system';
export const controllerAccount = 'transship-controller';
/** Agents and drivers ask nothing of the API: an account without any rights. */
export const nodeAccount = 'transship-node';

/** On everything that an installation makes. */
export const partOf = {
  'app.kubernetes.io/name': 'transship',
  'app.kubernetes.io/part-of': 'transship',
} as const;

const component = 'app.kubernetes.io/component';

export const components = {
  controller: { [component]: 'controller' },
  agent: { [component]: 'agent' },
  devices: { [component]: 'devices' },
} as const;

/** Of agents: where peers come to, and where controllers do. */
export const peerPort = 7400;
export const controlPort = 7401;
/** Of agents and controllers: where Prometheus comes to. */
export const metricsPort = 7402;

/** Of `Cluster.spec.agentPods`. */
export const agentSelector = `app.kubernetes.io/name=transship,${component}=agent`;

/** The root directory of most kubelets. */
export const kubeletDirectory = '/var/lib/kubelet';
