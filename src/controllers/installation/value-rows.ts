/**
 * What can be chosen when Transship is installed: one table that is the values of the chart, their
 * schema, and what `transship install --set` takes.
 */
import { kubeletDirectory } from './names.ts';

/** A value as the chart has it. Blocks are YAML that is put in as it is. */
export type Value = string | number | boolean | readonly unknown[] | Readonly<object>;

export interface ValueRow {
  /** As in `--set`: `agent.capacity`. */
  readonly path: string;
  /** An empty text: what it is for is left out. */
  readonly value: Value;
  readonly about: string;
  readonly choices?: readonly string[];
  /** Of a text: what it must look like. */
  readonly pattern?: string;
}

const name = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';
const directory = '^/.+[^/]$';

const generalRows = (version: string): readonly ValueRow[] => [
  {
    path: 'clusterName',
    value: 'main',
    about: 'What the cluster is called, here and by others; it cannot be changed later.',
    pattern: name,
  },
  {
    path: 'image',
    value: `transship:${version}`,
    about: 'The image of controllers, agents, drivers and devices.',
  },
  {
    path: 'moverImage',
    value: `transship-mover:${version}`,
    about: 'The image of pods that copy data between foreign volumes.',
  },
  {
    path: 'imagePullPolicy',
    value: 'IfNotPresent',
    about: 'When nodes pull the images.',
    choices: ['Always', 'IfNotPresent', 'Never'],
  },
  {
    path: 'manageCRDs',
    value: true,
    about: 'Installs and upgrades the kinds; they stay when the chart is uninstalled.',
  },
  {
    path: 'createNamespace',
    value: true,
    about: 'Makes the namespace transship-system, with its pod security labels.',
  },
  {
    path: 'migrations',
    value: false,
    about: 'Lets the controllers move namespaces: objects of any kind, everywhere.',
  },
  {
    path: 'networkPolicies',
    value: false,
    about: 'Only controllers reach the control ports of agents; peers reach their peer ports.',
  },
];

const controllerRows: readonly ValueRow[] = [
  {
    path: 'controller.replicas',
    value: 1,
    about: 'Of several controllers one works; the others wait for its lease.',
  },
  {
    path: 'controller.resources',
    value: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } },
    about: 'Of the container of the controllers.',
  },
  { path: 'controller.nodeSelector', value: {}, about: 'Where the controllers may run.' },
  { path: 'controller.tolerations', value: [], about: 'Taints that the controllers bear.' },
];

const agentRows: readonly ValueRow[] = [
  {
    path: 'agent.dataDirectory',
    value: '/var/lib/transship',
    about: 'Of each node: where its pool, its identity and its sockets are.',
    pattern: directory,
  },
  {
    path: 'agent.kubeletDirectory',
    value: kubeletDirectory,
    about: 'The root directory of the kubelet, where it is not the usual one.',
    pattern: directory,
  },
  {
    path: 'agent.capacity',
    value: '',
    about: 'The most that a pool takes of its disk, such as 500Gi; empty: what there is.',
    pattern: '^([0-9]+(\\.[0-9]+)?[KMGTP]i?B?)?$',
  },
  {
    path: 'agent.resources',
    value: { requests: { cpu: '200m', memory: '256Mi' }, limits: { memory: '2Gi' } },
    about: 'Of the container of the agent. It takes 150 MiB and 50 bytes for each chunk.',
  },
  { path: 'agent.nodeSelector', value: {}, about: 'Which nodes have an agent.' },
  {
    path: 'agent.tolerations',
    value: [],
    about: 'Taints of nodes that have an agent all the same.',
  },
];

const peerRows: readonly ValueRow[] = [
  {
    path: 'peers.hostPort',
    value: 7400,
    about: 'The port of each node at which peers reach its agent.',
  },
  {
    path: 'peers.advertise',
    value: '$(HOST_IP):7400',
    about:
      'What peers of other clusters are told: host:port. $(HOST_IP) is the address of the node, ' +
      '$(NODE_NAME) its name.',
  },
  {
    path: 'peers.service',
    value: '',
    about: 'A Service in front of the peer ports, where nodes are not reached directly.',
    choices: ['', 'NodePort', 'LoadBalancer'],
  },
  {
    path: 'peers.servicePort',
    value: 7400,
    about: 'Its port; with a load balancer that is what peers come to.',
  },
  { path: 'peers.nodePort', value: 30740, about: 'Its port on each node.' },
  { path: 'peers.annotations', value: {}, about: 'Its annotations, for the load balancer.' },
];

const monitoringRows: readonly ValueRow[] = [
  {
    path: 'monitoring.enabled',
    value: false,
    about: 'Agents and controllers serve GET /metrics at port 7402 of their pods, to all pods.',
  },
  {
    path: 'monitoring.serviceMonitor.enabled',
    value: false,
    about: 'Tells the Prometheus operator of them; needs monitoring.enabled, and its kinds.',
  },
  {
    path: 'monitoring.serviceMonitor.labels',
    value: {},
    about: 'Labels of the ServiceMonitors, as the Prometheus that is meant selects them.',
  },
  {
    path: 'monitoring.serviceMonitor.interval',
    value: '30s',
    about: 'How often they are read.',
    pattern: '^[0-9]+(ms|s|m|h)$',
  },
];

const restRows: readonly ValueRow[] = [
  {
    path: 'storageClass.create',
    value: true,
    about: 'Makes the storage class transship.',
  },
  {
    path: 'storageClass.default',
    value: false,
    about: 'Makes it the class of claims that name none.',
  },
  {
    path: 'storageClass.bindingMode',
    value: 'WaitForFirstConsumer',
    about: 'When a claim gets its volume: with its first pod, on that node, or at once.',
    choices: ['WaitForFirstConsumer', 'Immediate'],
  },
  {
    path: 'storageClass.reclaimPolicy',
    value: 'Delete',
    about: 'What becomes of the volume of a deleted claim.',
    choices: ['Delete', 'Retain'],
  },
  {
    path: 'dashboards',
    value: false,
    about: 'ConfigMaps with dashboards, as the sidecar of Grafana finds them.',
  },
];

/** `version`: of the images, which is that of this program. */
export function valueRows(version: string): readonly ValueRow[] {
  return [
    ...generalRows(version),
    ...controllerRows,
    ...agentRows,
    ...peerRows,
    ...monitoringRows,
    ...restRows,
  ];
}
