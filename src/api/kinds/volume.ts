/** A volume: blocks with a history, kept in one or more pools. */
import { columns } from './columns.ts';
import {
  defineKind,
  type FrozenStatic,
  type KindObject,
  nameRule,
  resourceOf,
  type Rule,
} from './kind.ts';
import { progressFields, progressTimes, sourceConnected } from './progress.ts';
import { replicaStatus } from './replica-status.ts';
import {
  atMostOneOf,
  bounds,
  bytes,
  count,
  exactlyOneOf,
  fields,
  fixed,
  flag,
  keyed,
  objectName,
  optional,
  ownName,
  quantity,
  rate,
  setOf,
  shown,
  statusBase,
  text,
  time,
  word,
} from './schema.ts';

const clone = fields(
  'Another volume of the same pool, as it is or was. Nothing is copied.',
  {
    volume: ownName('The volume to clone.'),
    time: optional(time('The moment to clone; now when neither it nor a snapshot is given.')),
    snapshot: optional(ownName('The snapshot of that volume to clone.')),
  },
  { rules: [atMostOneOf('time', 'snapshot')] },
);

const snapshot = fields('A snapshot to start from. Nothing is copied.', {
  volume: ownName('The volume that has the snapshot.'),
  name: ownName('The snapshot.'),
});

const teleport = fields(
  'A volume of another cluster. It can be used at once; its blocks come after, or never if thin.',
  {
    cluster: ownName('The Cluster that has the volume.'),
    agent: optional(
      ownName('The agent there that has it, where it is one of several; else the first is asked.'),
    ),
    volume: ownName('The volume there.'),
    at: optional(time('The moment to take; now when neither it nor a snapshot is given.')),
    snapshot: optional(ownName('The snapshot to take.')),
    thin: optional(flag('Fetch only what is read.', { default: false })),
    repository: optional(
      ownName('The Repository that it comes by; the snapshot is the SavedVersion there.'),
    ),
    bandwidth: optional(
      rate(
        'Bytes a second from that cluster, such as 100Mi; for all teleports, the newest counts.',
      ),
    ),
  },
  {
    rules: [
      atMostOneOf('at', 'snapshot'),
      ...fixed(['cluster', 'agent', 'volume', 'at', 'snapshot', 'repository']),
      {
        rule: '!has(self.repository) || has(self.snapshot)',
        message: 'by a repository comes a version that is saved there: name it as snapshot',
      },
      {
        rule: '!(has(self.thin) && self.thin) || (has(oldSelf.thin) && oldSelf.thin)',
        message: 'thin can be changed from true to false only',
      },
    ],
  },
);

const image = fields('A disk image on the node of the pool.', {
  path: text('Absolute path of the file or block device.', {
    min: 1,
    max: bounds.path,
    pattern: '^/',
  }),
  format: optional(word(['raw', 'qcow2'], 'Format of the image; found out when not given.')),
});

const source = fields(
  'What the volume starts with; zeros when not given.',
  {
    clone: optional(clone),
    snapshot: optional(snapshot),
    teleport: optional(teleport),
    image: optional(image),
  },
  {
    rules: [
      exactlyOneOf('clone', 'snapshot', 'teleport', 'image'),
      ...fixed(['clone', 'snapshot', 'image']),
      {
        rule: 'has(self.teleport) == has(oldSelf.teleport)',
        message: 'source cannot be changed; make a new volume instead',
      },
    ],
  },
);

/** Copies of one volume: a majority of more would only make writes slower. */
export const replicasMax = 8;

const replicaRules: readonly Rule[] = [
  {
    rule: 'self.size() > 0',
    message: 'name at least one pool, or leave replicas out to have one chosen',
  },
  {
    rule:
      'oldSelf.filter(old, !self.exists(one, one.pool == old.pool)).size() <= 1 || ' +
      'self.size() >= oldSelf.size()',
    message:
      'remove one replica at a time: take away the next when the volume is Healthy again; ' +
      'to move replicas, put the new pools in place of the old ones',
  },
];

/** Judged by what the status says; the controller looks again before anything is taken away. */
const lastHealthyRule: Rule = {
  rule:
    '!has(oldSelf.spec.replicas) || !has(self.spec.replicas) || ' +
    'self.spec.replicas.size() >= oldSelf.spec.replicas.size() || ' +
    '!has(self.status) || !has(self.status.replicas) || ' +
    "!self.status.replicas.exists(one, one.state == 'Healthy') || " +
    "self.status.replicas.exists(one, one.state == 'Healthy' && " +
    'self.spec.replicas.exists(wanted, wanted.pool == one.pool))',
  message:
    'no replica that is left would be Healthy: wait until another one is ' +
    '(kubectl get volumereplicas), then remove this one',
};

const spec = fields(
  'What the volume is to be.',
  {
    size: optional(
      quantity('Bytes that its user sees, such as 10Gi; that of the source when not given.', {
        rules: [
          {
            rule:
              "!isQuantity(self) || quantity(self).compareTo(quantity('1Mi')) >= 0 && " +
              "quantity(self).compareTo(quantity('64Ti')) <= 0",
            message: 'a volume has from 1Mi to 64Ti',
          },
          {
            rule: '!isQuantity(self) || quantity(self).compareTo(quantity(oldSelf)) >= 0',
            message: 'size can grow but never shrink',
          },
        ],
      }),
    ),
    blockSize: optional(
      word(
        ['4Ki', '8Ki', '16Ki', '32Ki', '64Ki', '128Ki'],
        'Unit of sharing and transfer; 64Ki, or that of the source, when not given. ' +
          'Small ones find more repeats, large ones are faster.',
      ),
    ),
    replicas: optional(
      keyed(
        'The pools that keep a copy, each of another agent; one is chosen when not given. ' +
          'A name put in place of another moves that copy.',
        ['pool'],
        fields('One copy.', { pool: ownName('The Pool that keeps it.') }),
        { max: replicasMax, rules: replicaRules },
      ),
    ),
    rebuildBandwidth: optional(
      rate(
        'Bytes a second that the rebuild of one replica may take, such as 100Mi; when not given, ' +
          'a share that leaves the application most of its speed.',
      ),
    ),
    historyPolicy: optional(
      ownName('The HistoryPolicy that says how far back it can be restored.'),
    ),
    source: optional(source),
  },
  {
    rules: [
      {
        rule: 'has(self.size) || has(self.source)',
        message: 'give a size, or a source that has one',
      },
      { rule: '!has(oldSelf.size) || has(self.size)', message: 'size cannot be removed' },
      {
        rule: '!has(oldSelf.replicas) || has(self.replicas)',
        message: 'replicas cannot be left out again: name the pools that are to keep a copy',
      },
      ...fixed(['blockSize']),
      {
        rule: 'has(self.source) == has(oldSelf.source)',
        message: 'source cannot be added or removed; make a new volume instead',
      },
    ],
  },
);

const usage = fields('What the volume takes.', {
  logicalBytes: optional(bytes('Bytes that are not holes.')),
  uniqueBytes: optional(bytes('Bytes that only this volume has, before compression.')),
  storedBytes: optional(bytes('Bytes on disk that would be free without it.')),
  unsettledBytes: optional(bytes('Bytes written but not yet settled into chunks.')),
  savingPermille: optional(
    count('Thousand times logical bytes over stored bytes; 1000 means nothing saved.'),
  ),
  logical: optional(shown('Bytes that are not holes.')),
  stored: optional(shown('Bytes on disk.')),
});

const replica = fields('One copy of the volume.', {
  pool: ownName('The Pool that keeps it.'),
  node: optional(objectName('The node of that pool.')),
  agent: optional(objectName('The agent that has that pool.')),
  at: optional(text('The name that the agent has for the pool.', { max: bounds.label })),
  ...replicaStatus,
});

const replicaSet = fields('How its copies stand; absent for a volume that never had several.', {
  leader: optional(
    objectName('The agent through which it is written; the one writer that all copies accept.'),
  ),
  epoch: optional(count('Number of that agent’s term; copies refuse writes of earlier ones.')),
  quorum: optional(count('Copies that must have a write before it is acknowledged.')),
  wanted: optional(count('Copies that the spec asks for.')),
  healthy: optional(count('Of those, the ones that are Healthy.')),
  pools: optional(
    setOf(
      'The pools of its copies when nothing was to be changed the last time.',
      ownName('One.'),
      {
        max: replicasMax,
      },
    ),
  ),
  shown: optional(shown('Healthy copies of those that are wanted.')),
});

const status = fields('What the volume is.', {
  ...statusBase,
  phase: optional(
    word(
      ['Pending', 'Initializing', 'Accessible', 'Available', 'Degraded', 'Offline', 'Failed'],
      'Accessible: usable, some blocks still at the source. Available: all here. Degraded: ' +
        'usable, a replica is not Healthy. Offline: too few replicas to go on. For people.',
    ),
  ),
  replicas: optional(
    keyed('The copies that there are, wanted or not.', ['pool'], replica, {
      max: 2 * replicasMax,
    }),
  ),
  replicaSet: optional(replicaSet),
  usage: optional(usage),
  sizeBytes: optional(bytes('Bytes that its user sees.')),
  size: optional(shown('Bytes that its user sees.')),
  root: optional(
    text('Fingerprint of the content at the last checkpoint; equal content, equal root.', {
      max: 64,
    }),
  ),
  attachedTo: optional(text('Who has it open for writing.', { max: bounds.name })),
  nbdUri: optional(text('Address for NBD clients on the same host.', { max: bounds.path })),
  doors: optional(
    setOf(
      'Who has it open now: NBD clients, attachments, imports.',
      text('One user.', { max: bounds.reason }),
      { max: 64 },
    ),
  ),
  leasedBy: optional(
    setOf(
      'Volumes of other clusters that still read from it, as CLUSTER/VOLUME.',
      text('One of them.', { max: 256 }),
      { max: 64 },
    ),
  ),
  missingBytes: optional(bytes('Bytes that only the source has.')),
  snapshots: optional(count('Snapshots that it has.')),
  oldestRestorableTime: optional(time('The oldest moment that it can be restored to.')),
  teleport: optional(
    fields('How its teleport is doing, while it has one.', {
      phase: optional(
        word(
          ['Initializing', 'Accessible', 'Available', 'Canceled', 'Failed'],
          'Summary for people.',
        ),
      ),
      ...progressFields,
      ...progressTimes,
      ...sourceConnected,
    }),
  ),
});

export const volumeKind = defineKind({
  kind: 'Volume',
  plural: 'volumes',
  singular: 'volume',
  shortNames: ['tsv'],
  namespaced: false,
  about: 'A block volume with a history; it has the name of its PersistentVolume.',
  spec,
  status,
  columns: [
    columns.text('SIZE', '.status.size', 'Bytes that its user sees.'),
    columns.text('STORED', '.status.usage.stored', 'Bytes it takes on disk.'),
    columns.text('POOL', '.status.replicas[0].pool', 'The pool of the first copy.'),
    columns.text('REPLICAS', '.status.replicaSet.shown', 'Healthy copies of those wanted.'),
    columns.text('STATUS', '.status.phase', 'Summary.'),
    columns.text('ATTACHED-TO', '.status.attachedTo', 'Who has it open for writing.'),
    columns.wide(columns.text('HISTORY', '.spec.historyPolicy', 'Its history policy.')),
    columns.wide(columns.number('SNAPSHOTS', '.status.snapshots', 'Snapshots that it has.')),
    columns.wide(columns.number('MISSING', '.status.missingBytes', 'Bytes still at the source.')),
    columns.wide(
      columns.date('OLDEST', '.status.oldestRestorableTime', 'How far back it can be restored.'),
    ),
    columns.wide(columns.reason('REASON', 'Ready', 'Why it is ready or not.')),
  ],
  selectable: ['.spec.historyPolicy'],
  rules: [nameRule, lastHealthyRule],
  conditions: [
    { type: 'Ready', meaning: 'It can be read and written.' },
    { type: 'Complete', meaning: 'No block is missing: it needs no other cluster.' },
    { type: 'Synced', meaning: 'The agent has what the spec says.' },
    { type: 'Degraded', meaning: 'A copy is not Healthy; bad when True. Of replicated volumes.' },
    {
      type: 'ScalingReplicas',
      meaning: 'Copies are being made, moved or taken away; the reason says which, or why not.',
    },
    { type: 'SourceConnected', meaning: 'The source of a teleport can be reached.' },
    { type: 'Settled', meaning: 'False while housekeeping fails; absent when all is well.' },
    { type: 'DataDamaged', meaning: 'Chunks failed their check; bad when True.' },
  ],
});

export type Volume = KindObject<'Volume', VolumeSpec, VolumeStatus>;
export type VolumeSpec = FrozenStatic<typeof spec>;
export type VolumeStatus = FrozenStatic<typeof status>;
export type VolumeTeleportStatus = NonNullable<VolumeStatus['teleport']>;
export const volumes = resourceOf<Volume>(volumeKind);
