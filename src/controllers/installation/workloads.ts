/** What runs: the controllers, and on each node the agent with its driver, and its devices. */
import type { KubeObject } from '../../kube/objects.ts';
import { agentSecret } from '../agents/certificates.ts';
import { driver } from '../labels.ts';
import {
  components,
  controllerAccount,
  controlPort,
  metricsPort,
  nodeAccount,
  partOf,
  peerPort,
  systemNamespace,
} from './names.ts';
import type { Values } from './values.ts';

/** Of the user that the image has for what needs no root. */
const nobody = 65_532;
const certificates = '/etc/transship/agent-tls';

type Component = keyof typeof components;

/** Selectors cannot be changed later, so they have nothing that might. */
const selectorOf = (component: Component) => ({
  'app.kubernetes.io/name': partOf['app.kubernetes.io/name'],
  ...components[component],
});

function headOf(component: Component) {
  const labels = { ...partOf, ...components[component] };
  return { name: `transship-${component}`, namespace: systemNamespace, labels };
}

/** Nothing of the system but what is mounted. */
const confined = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};
/** Mounts and block devices of the node belong to those who may do everything there. */
const privileged = { privileged: true, readOnlyRootFilesystem: true };

const temporary = { name: 'tmp', mountPath: '/tmp' };
const temporaryVolume = { name: 'tmp', emptyDir: {} };

export function controllerDeployment(values: Values): KubeObject {
  const home = '/home/transship';
  const container = {
    name: 'controller',
    image: values.text('image'),
    imagePullPolicy: values.text('imagePullPolicy'),
    args: [
      'controller',
      '--in-cluster',
      '--name',
      values.text('clusterName'),
      ...shownMetrics(values),
    ],
    ports: [metricsContainerPort],
    env: [
      { name: 'TRANSSHIP_HOME', value: home },
      { name: 'TRANSSHIP_IMAGE', value: values.text('moverImage') },
    ],
    resources: values.block('controller.resources'),
    securityContext: confined,
    volumeMounts: [temporary, { name: 'home', mountPath: home }],
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: headOf('controller'),
    spec: {
      replicas: values.number('controller.replicas'),
      selector: { matchLabels: selectorOf('controller') },
      template: {
        metadata: { labels: { ...partOf, ...components.controller } },
        spec: {
          serviceAccountName: controllerAccount,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: nobody,
            runAsGroup: nobody,
            fsGroup: nobody,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          nodeSelector: values.block('controller.nodeSelector'),
          tolerations: values.list('controller.tolerations'),
          containers: [container],
          volumes: [temporaryVolume, { name: 'home', emptyDir: {} }],
        },
      },
    },
  } as KubeObject;
}

/** What the containers of a node share with each other, and what outlives them. */
class NodePlace {
  readonly home: string;
  readonly pool: string;
  readonly run: string;
  readonly devices: string;
  readonly kubelet: string;

  constructor(values: Values) {
    const data = values.text('agent.dataDirectory');
    this.home = `${data}/home`;
    this.pool = `${data}/pool`;
    this.run = `${data}/run`;
    this.devices = `${data}/devices`;
    this.kubelet = values.text('agent.kubeletDirectory');
  }

  get deviceSocket(): string {
    return `${this.run}/devices.sock`;
  }

  volume(name: 'home' | 'pool' | 'run' | 'devices') {
    return { name, hostPath: { path: this[name], type: 'DirectoryOrCreate' } };
  }

  /** At the same path as on the node: what is told to others must be right there too. */
  mount(name: 'home' | 'pool' | 'run' | 'devices' | 'kubelet') {
    return { name, mountPath: this[name] };
  }
}

/** Mounts made in the container appear on the node, and in pods there. */
const shared = { mountPropagation: 'Bidirectional' };
const deviceNodes = { name: 'dev', mountPath: '/dev' };
const deviceNodesVolume = { name: 'dev', hostPath: { path: '/dev', type: 'Directory' } };

const fieldEnv = (name: string, fieldPath: string) => ({
  name,
  valueFrom: { fieldRef: { fieldPath } },
});

export function agentDaemonSet(values: Values): KubeObject {
  const place = new NodePlace(values);
  const spec = {
    ...nodePod(values),
    securityContext: { runAsUser: 0, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [agentContainer(values, place), driverContainer(values, place)],
    volumes: [
      temporaryVolume,
      place.volume('home'),
      place.volume('pool'),
      place.volume('run'),
      { name: 'kubelet', hostPath: { path: place.kubelet, type: 'Directory' } },
      deviceNodesVolume,
      { name: 'certificates', secret: { secretName: agentSecret, defaultMode: 0o400 } },
    ],
  };
  return daemonSet('agent', spec, { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } });
}

/** Listened at only where it is asked for. */
const metricsContainerPort = { name: 'metrics', containerPort: metricsPort, protocol: 'TCP' };

function shownMetrics(values: Values): readonly string[] {
  return values.wordWhen('monitoring.enabled', `--metrics-listen=*:${metricsPort}`);
}

function agentContainer(values: Values, place: NodePlace) {
  const where = ['--listen', `*:${peerPort}`, '--advertise', values.text('peers.advertise')];
  const control = ['--control-listen', `*:${controlPort}`, '--control-tls', certificates];
  return {
    name: 'agent',
    image: values.text('image'),
    imagePullPolicy: values.text('imagePullPolicy'),
    args: [
      'node-agent',
      '$(NODE_NAME)',
      '--of',
      values.text('clusterName'),
      '--pool',
      place.pool,
      '--devices',
      place.deviceSocket,
      ...where,
      ...control,
      ...values.option('--capacity', 'agent.capacity'),
      ...shownMetrics(values),
    ],
    env: [
      { name: 'TRANSSHIP_HOME', value: place.home },
      // What it keeps long is outside of V8's heap; left alone, that grows with garbage.
      { name: 'NODE_OPTIONS', value: '--max-semi-space-size=8 --max-old-space-size=1024' },
      { name: 'MALLOC_ARENA_MAX', value: '2' },
      fieldEnv('NODE_NAME', 'spec.nodeName'),
      fieldEnv('HOST_IP', 'status.hostIP'),
    ],
    ports: [
      {
        name: 'peers',
        containerPort: peerPort,
        hostPort: values.number('peers.hostPort'),
        protocol: 'TCP',
      },
      { name: 'control', containerPort: controlPort, protocol: 'TCP' },
      metricsContainerPort,
    ],
    readinessProbe: { tcpSocket: { port: 'control' }, periodSeconds: 5 },
    resources: values.block('agent.resources'),
    securityContext: confined,
    volumeMounts: [
      temporary,
      place.mount('home'),
      place.mount('pool'),
      place.mount('run'),
      { name: 'certificates', mountPath: certificates, readOnly: true },
    ],
  };
}

/** What the kubelet calls; it finds the socket in its own directories, under the same path. */
function driverContainer(values: Values, place: NodePlace) {
  const endpoint = `unix://${place.kubelet}/plugins/${driver}/csi.sock`;
  return {
    name: 'csi',
    image: values.text('image'),
    imagePullPolicy: values.text('imagePullPolicy'),
    args: [
      'csi',
      '--node',
      '$(NODE_NAME)',
      '--endpoint',
      endpoint,
      '--agent-socket',
      `${place.home}/clusters/$(NODE_NAME)/control.sock`,
      '--plugins',
      `${place.kubelet}/plugins_registry`,
    ],
    env: [{ name: 'TRANSSHIP_HOME', value: '/tmp' }, fieldEnv('NODE_NAME', 'spec.nodeName')],
    resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '256Mi' } },
    securityContext: privileged,
    volumeMounts: [
      temporary,
      place.mount('home'),
      { ...place.mount('kubelet'), ...shared },
      deviceNodes,
    ],
  };
}

/**
 * What keeps the devices of pods while the agent is replaced. It is itself replaced only when its
 * pod is deleted, on a node that was drained: devices end with it.
 */
export function devicesDaemonSet(values: Values): KubeObject {
  const place = new NodePlace(values);
  const container = {
    name: 'devices',
    image: values.text('image'),
    imagePullPolicy: values.text('imagePullPolicy'),
    args: ['node-devices', '--socket', place.deviceSocket, '--directory', place.devices],
    env: [{ name: 'TRANSSHIP_HOME', value: '/tmp' }],
    resources: { requests: { cpu: '50m', memory: '64Mi' } },
    securityContext: privileged,
    volumeMounts: [
      temporary,
      place.mount('home'),
      place.mount('run'),
      { ...place.mount('devices'), ...shared },
      deviceNodes,
    ],
  };
  const spec = {
    ...nodePod(values),
    securityContext: { runAsUser: 0 },
    containers: [container],
    volumes: [
      temporaryVolume,
      place.volume('home'),
      place.volume('run'),
      place.volume('devices'),
      deviceNodesVolume,
    ],
  };
  return daemonSet('devices', spec, { type: 'OnDelete' });
}

/** Pods on nodes ask nothing of the API, and are not put out before those that use them. */
function nodePod(values: Values) {
  return {
    serviceAccountName: nodeAccount,
    automountServiceAccountToken: false,
    priorityClassName: 'system-node-critical',
    nodeSelector: values.block('agent.nodeSelector'),
    tolerations: values.list('agent.tolerations'),
  };
}

function daemonSet(component: Component, spec: object, updateStrategy: object): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: headOf(component),
    spec: {
      selector: { matchLabels: selectorOf(component) },
      updateStrategy,
      template: { metadata: { labels: { ...partOf, ...components[component] } }, spec },
    },
  } as KubeObject;
}
