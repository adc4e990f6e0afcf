/** A Kubernetes cluster, and how it, its agents and its registry are reached. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, nameRule, resourceOf } from './kind.ts';
import {
  bounds,
  bytes,
  count,
  atMostOneOf,
  fields,
  flag,
  keyed,
  labelName,
  list,
  objectName,
  optional,
  secret,
  secretKey,
  setOf,
  statusBase,
  text,
  word,
} from './schema.ts';

const kubeconfig = fields('A kubeconfig in a Secret.', {
  ...secretKey('', 'kubeconfig').properties,
  context: optional(
    text('Context of the kubeconfig; its current one when not given.', { max: bounds.name }),
  ),
});

const registry = {
  host: optional(
    text('Host and port of the image registry, as pods of the cluster name it.', {
      min: 1,
      max: bounds.name,
    }),
  ),
  exposedHost: optional(
    text('Host and port of the same registry, as it is reached from outside the cluster.', {
      min: 1,
      max: bounds.name,
    }),
  ),
};

const spec = fields(
  'How the cluster is reached.',
  {
    local: optional(
      flag('The cluster in which this object lives: no kubeconfig is needed. Only `true`.'),
    ),
    kubeconfigSecretRef: optional(kubeconfig),
    agents: optional(
      keyed(
        'The agents that hold the volumes of the cluster.',
        ['name'],
        fields('One agent.', {
          name: labelName('Name of the agent, usually that of its node.'),
          address: text(
            'Where its control API listens: `unix:///path/control.sock` or `https://host:port`.',
            { min: 1, max: 1024, pattern: '^(unix:///.+|https://[^/]+:[0-9]{1,5}/?)$' },
          ),
        }),
        { max: 1024 },
      ),
    ),
    agentPods: optional(
      fields(
        'Agents that run as pods, beside those that are named; each has the name of its node.',
        {
          namespace: labelName('Their namespace.'),
          selector: text('Their labels, such as `app.kubernetes.io/component=agent`.', {
            min: 1,
            max: bounds.reason,
          }),
          port: count('Where each serves its control API with TLS.', { min: 1, max: 65_535 }),
        },
      ),
    ),
    joinTokenSecretRef: optional(
      secretKey(
        'A one-time token with which this cluster and the local one trust each other.',
        'token',
      ),
    ),
    registry: optional(
      fields('The image registry of the cluster; needed where images are copied.', {
        ...registry,
        credentialsSecretRef: optional(
          secret('Secret of type kubernetes.io/dockerconfigjson or kubernetes.io/basic-auth.'),
        ),
        caBundle: optional(
          text(
            'Certificates in PEM that the registry is verified with, beside those of the host.',
            {
              max: bounds.certificates,
            },
          ),
        ),
      }),
    ),
  },
  {
    rules: [
      atMostOneOf('local', 'kubeconfigSecretRef'),
      { rule: '!has(self.local) || self.local', message: 'local is true or not given' },
      {
        rule: 'has(self.local) == has(oldSelf.local)',
        message: 'a local cluster cannot become a remote one, nor the reverse',
      },
    ],
  },
);

const storageClass = fields('One storage class of the cluster.', {
  name: objectName('Name of the storage class.'),
  provisioner: text('The driver that makes its volumes.', { max: bounds.name }),
  default: flag('Claims that name no class get this one.'),
  expansion: optional(flag('Its volumes can grow.')),
  bindingMode: optional(
    word(['Immediate', 'WaitForFirstConsumer'], 'When a claim gets its volume.'),
  ),
  transship: optional(flag('Its volumes are volumes of Transship.')),
});

const agentStatus = fields('What is known of one agent.', {
  name: labelName('Name of the agent.'),
  connected: flag('It answered when last asked.'),
  version: optional(text('Version of Transship it runs.', { max: 64 })),
  message: optional(text('Why it did not answer.', { max: bounds.reason })),
});

const peer = fields('Another cluster that the agents have joined.', {
  name: labelName('Name of the other cluster.'),
  connected: flag('There is a link now.'),
  roundTripMs: optional(count('Milliseconds for a message there and back.')),
});

const totals = fields('Sums over the cluster.', {
  volumes: optional(count('Volumes of Transship.')),
  teleports: optional(count('Teleports that run.')),
  logicalBytes: optional(bytes('What users wrote.')),
  storedBytes: optional(bytes('What that takes on disk.')),
  capacityBytes: optional(bytes('What the pools may take on disk.')),
  allocatedBytes: optional(bytes('What the pools take on disk.')),
  savingPermille: optional(
    count('Thousand times logical bytes over stored bytes; 1000 means nothing saved.'),
  ),
});

const status = fields('What was found in the cluster.', {
  ...statusBase,
  version: optional(text('Version of Kubernetes.', { max: 64 })),
  transshipVersion: optional(text('Version of Transship that its agents run.', { max: 64 })),
  storageClasses: optional(
    keyed('The storage classes of the cluster.', ['name'], storageClass, { max: 256 }),
  ),
  nodes: optional(count('How many nodes it has.')),
  capabilities: optional(
    setOf(
      'What can be done there, such as Engine, Snapshots, ChangedBlockTracking or KubeVirt.',
      text('One word.', { min: 1, max: 64 }),
      { max: 64 },
    ),
  ),
  registry: optional(fields('The registry as it was found.', registry)),
  agents: optional(keyed('The agents, as last seen.', ['name'], agentStatus, { max: 1024 })),
  peers: optional(keyed('The other clusters its agents reach.', ['name'], peer, { max: 256 })),
  roundTripMs: optional(count('Milliseconds for a request to its API server and back.')),
  health: optional(
    word(['None', 'Yellow', 'Red'], 'None: all is well. Yellow: degraded. Red: somebody must act.'),
  ),
  reasons: optional(
    list('Why `health` is not None, one sentence each.', text('One reason.'), { max: 32 }),
  ),
  totals: optional(totals),
});

export const clusterKind = defineKind({
  kind: 'Cluster',
  plural: 'clusters',
  singular: 'cluster',
  shortNames: ['tcl'],
  namespaced: false,
  about: 'A cluster that workloads and volumes move from or to.',
  spec,
  status,
  columns: [
    columns.condition('READY', 'Ready', 'Whether it can be used.'),
    columns.text('VERSION', '.status.version', 'Version of Kubernetes.'),
    columns.number('NODES', '.status.nodes', 'How many nodes it has.'),
    columns.text('HEALTH', '.status.health', 'None, Yellow or Red.'),
    columns.flag('LOCAL', '.spec.local', 'Whether it is the cluster of this API server.'),
    columns.wide(columns.text('TRANSSHIP', '.status.transshipVersion', 'Version of Transship.')),
    columns.wide(columns.number('VOLUMES', '.status.totals.volumes', 'Volumes of Transship.')),
    columns.wide(columns.number('RTT-MS', '.status.roundTripMs', 'Milliseconds there and back.')),
    columns.wide(columns.reason('REASON', 'Ready', 'Why it is ready or not.')),
  ],
  rules: [nameRule],
  conditions: [
    { type: 'Ready', meaning: 'Workloads and volumes can move from or to it.' },
    {
      type: 'Reachable',
      meaning: 'Its API server answers, and takes the credentials.',
    },
    { type: 'Connected', meaning: 'Its agents answer.' },
    {
      type: 'Permitted',
      meaning: 'The controllers have the rights of docs/reference/rights.md; else it names them.',
    },
    { type: 'Trusted', meaning: 'Its agents and those of the local cluster have joined.' },
  ],
});

export type Cluster = KindObject<'Cluster', ClusterSpec, ClusterStatus>;
export type ClusterSpec = FrozenStatic<typeof spec>;
export type ClusterStatus = FrozenStatic<typeof status>;
export const clusters = resourceOf<Cluster>(clusterKind);
