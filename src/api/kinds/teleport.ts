/** One move of a volume or claim to another cluster, usable there before its blocks are. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, type Rule, resourceOf } from './kind.ts';
import { progressFields, progressTimes, sourceConnected } from './progress.ts';
import {
  atMostOneOf,
  count,
  exactlyOneOf,
  fields,
  fixed,
  flag,
  labelName,
  objectName,
  optional,
  ownName,
  rate,
  shown,
  statusBase,
  text,
  time,
  word,
} from './schema.ts';

/** A claim is named with its namespace; a volume has none. */
const sideRules: readonly Rule[] = [
  {
    rule: '!has(self.volume) || !has(self.__namespace__)',
    message: 'a volume has no namespace; give it with a claim only',
  },
];

const source = fields(
  'What to move: a claim or a volume.',
  {
    cluster: ownName('The Cluster that has it.'),
    namespace: optional(labelName('Namespace of the claim; that of this object when not given.')),
    claim: optional(objectName('The PersistentVolumeClaim to move.')),
    volume: optional(ownName('The volume to move, where there is no claim.')),
  },
  { rules: [exactlyOneOf('claim', 'volume'), ...sideRules] },
);

const destination = fields(
  'Where to move it to.',
  {
    cluster: ownName('The Cluster that gets it.'),
    namespace: optional(
      labelName('Namespace of the new claim; that of the source when not given.'),
    ),
    claim: optional(
      objectName('The PersistentVolumeClaim to make; named as that of the source when not given.'),
    ),
    volume: optional(
      ownName('The volume to make, where the source is a volume; named as it when not given.'),
    ),
    storageClass: optional(objectName('Storage class of the new claim.')),
    historyPolicy: optional(
      ownName('HistoryPolicy of the new volume; the default of the destination when not given.'),
    ),
  },
  {
    rules: [
      atMostOneOf('claim', 'volume'),
      ...sideRules,
      {
        rule: '!has(self.volume) || !has(self.storageClass)',
        message: 'a volume has no storage class; give it with a claim only',
      },
    ],
  },
);

const spec = fields(
  'What to move where. Only `thin` and `bandwidth` can be changed later.',
  {
    source,
    at: optional(
      time('The moment to take, where the history of the volume reaches; now when not given.'),
    ),
    snapshot: optional(ownName('The snapshot to take.')),
    destination,
    thin: optional(
      flag('Fetch only what is read. Set it to false later to fetch the rest.', { default: false }),
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
      {
        rule:
          'has(self.source.claim) ? !has(self.destination.volume) : ' +
          '!has(self.destination.claim) && !has(self.destination.storageClass)',
        message: 'source and destination are both claims or both volumes',
      },
      {
        rule: 'self.source == oldSelf.source',
        message: 'source cannot be changed; make a new object instead',
      },
      {
        rule: 'self.destination == oldSelf.destination',
        message: 'destination cannot be changed; make a new object instead',
      },
      ...fixed(['at', 'snapshot']),
      {
        rule: '!(has(self.thin) && self.thin) || (has(oldSelf.thin) && oldSelf.thin)',
        message: 'thin can be changed from true to false only',
      },
    ],
  },
);

const display = fields('The columns of `kubectl get`, as text. For people.', {
  source: optional(text('Cluster, namespace and claim, or cluster and volume.', { max: 400 })),
  destination: optional(text('The same of the destination.', { max: 400 })),
  progress: optional(shown('Such as 47%.')),
  bytes: optional(shown('Bytes there and bytes in all, such as 1.2Gi/3Gi.')),
  rate: optional(shown('Such as 110Mi/s.')),
  eta: optional(shown('Such as 2m10s.')),
});

const status = fields('How far it is.', {
  ...statusBase,
  phase: optional(
    word(
      ['Pending', 'Initializing', 'Accessible', 'Available', 'Canceled', 'Failed'],
      'Accessible: usable at the destination. Available: all blocks are there. For people.',
    ),
  ),
  display: optional(display),
  progress: optional(
    fields('How many bytes are there, and how fast they come.', {
      ...progressFields,
      ...sourceConnected,
    }),
  ),
  sourceVolume: optional(text('The volume it comes from.', { max: 253 })),
  volume: optional(text('The volume it becomes.', { max: 253 })),
  root: optional(text('Fingerprint of the content that was taken.', { max: 64 })),
  accessibleAfterMilliseconds: optional(
    count('Milliseconds from the start until it was usable at the destination.'),
  ),
  startTime: optional(time('When it began.')),
  ...progressTimes,
});

export const teleportKind = defineKind({
  kind: 'Teleport',
  plural: 'teleports',
  singular: 'teleport',
  shortNames: ['tp'],
  namespaced: true,
  about: 'Moves a volume to another cluster, where it can be used before all of it has arrived.',
  spec,
  status,
  columns: [
    columns.text('SOURCE', '.status.display.source', 'What moves.'),
    columns.text('DESTINATION', '.status.display.destination', 'What it becomes.'),
    columns.text('PHASE', '.status.phase', 'Summary.'),
    columns.text('PROGRESS', '.status.display.progress', 'Share of the bytes that are there.'),
    columns.wide(columns.text('BYTES', '.status.display.bytes', 'Bytes there, and in all.')),
    columns.wide(columns.text('RATE', '.status.display.rate', 'How fast they come.')),
    columns.wide(columns.text('ETA', '.status.display.eta', 'How long it still takes.')),
    columns.wide(columns.reason('REASON', 'Succeeded', 'Why it is where it is.')),
  ],
  conditions: [
    { type: 'Ready', meaning: 'The volume can be used at the destination.' },
    {
      type: 'Succeeded',
      meaning:
        'Unknown while it runs. True when all blocks are there; a thin one, when it can be used.',
    },
    { type: 'SourceConnected', meaning: 'The source can be reached.' },
  ],
});

export type Teleport = KindObject<'Teleport', TeleportSpec, TeleportStatus>;
export type TeleportSpec = FrozenStatic<typeof spec>;
export type TeleportStatus = FrozenStatic<typeof status>;
export type TeleportProgressStatus = NonNullable<TeleportStatus['progress']>;
export const teleports = resourceOf<Teleport>(teleportKind);
