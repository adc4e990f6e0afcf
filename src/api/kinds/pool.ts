/** A directory or disk of a node in which chunks are kept. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, nameRule, resourceOf } from './kind.ts';
import {
  bounds,
  bytes,
  count,
  fields,
  flag,
  keyed,
  objectName,
  optional,
  ownName,
  quantity,
  setOf,
  shown,
  statusBase,
  text,
  unchanged,
  word,
} from './schema.ts';

const drain = fields(
  'Every replica is to move to another pool; as long as this is given, none comes here.',
  {
    to: optional(
      setOf('The pools that may take them; any other when not given.', ownName('A Pool.'), {
        max: 64,
        min: 1,
      }),
    ),
  },
);

const spec = fields('Where the pool is, and how much it may take.', {
  node: objectName('The node that has the disk.', { rules: [unchanged('node')] }),
  path: text('The directory on that node, absolute.', {
    min: 1,
    max: bounds.path,
    pattern: '^/',
    rules: [unchanged('path')],
  }),
  capacity: optional(
    quantity('How much of the disk the pool may take, such as 100Gi; all of it when not given.'),
  ),
  drain: optional(drain),
});

const status = fields('What the pool holds.', {
  ...statusBase,
  phase: optional(
    word(
      ['Pending', 'Online', 'Draining', 'Drained', 'ReadOnly', 'Offline', 'Failed'],
      'Summary for people; programs read the conditions.',
    ),
  ),
  type: optional(word(['directory'], 'What it is made of.')),
  drain: optional(
    fields('How far the drain is, while one is asked for.', {
      moving: optional(
        setOf('Volumes whose replica moves away now.', ownName('A Volume.'), { max: 64 }),
      ),
      remaining: optional(count('Volumes that have a replica here, or are to have one.')),
      blocked: optional(
        keyed(
          'Volumes that cannot be moved as things are.',
          ['volume'],
          fields('One of them.', {
            volume: ownName('The Volume.'),
            message: text('What is in the way, and what to do.'),
          }),
          { max: 64 },
        ),
      ),
    }),
  ),
  readOnly: optional(
    flag('It takes no writes: full, or its disk failed. It ends below 98 % when it was full.'),
  ),
  allocated: optional(shown('What it takes on disk.')),
  free: optional(shown('What is left.')),
  capacity: optional(shown('What it may take.')),
  allocatedBytes: optional(bytes('Bytes it takes on disk.')),
  freeBytes: optional(bytes('Bytes left.')),
  capacityBytes: optional(bytes('Bytes it may take.')),
  journalBytes: optional(bytes('Bytes of writes not yet settled into chunks.')),
  chunks: optional(count('Different blocks that it holds.')),
  segments: optional(count('Files that hold them.')),
  logicalBytes: optional(bytes('Bytes that volumes and their histories refer to.')),
  uniqueBytes: optional(bytes('The same without repeats, before compression.')),
  storedBytes: optional(bytes('The same after compression.')),
  savingPermille: optional(
    count('Thousand times logical bytes over stored bytes; 1000 means nothing saved.'),
  ),
  volumes: optional(count('Volumes that have a replica here.')),
});

export const poolKind = defineKind({
  kind: 'Pool',
  plural: 'pools',
  singular: 'pool',
  shortNames: ['tpl'],
  namespaced: false,
  about: 'Storage on one node in which volumes are kept, each different block once.',
  spec,
  status,
  columns: [
    columns.text('HOSTNAME', '.spec.node', 'The node that has the disk.'),
    columns.text('ALLOCATED', '.status.allocated', 'What it takes on disk.'),
    columns.text('FREE', '.status.free', 'What is left.'),
    columns.text('CAPACITY', '.status.capacity', 'What it may take.'),
    columns.flag('READONLY', '.status.readOnly', 'Whether it takes no writes.'),
    columns.text('TYPE', '.status.type', 'What it is made of.'),
    columns.text('STATUS', '.status.phase', 'Summary.'),
    columns.wide(columns.number('VOLUMES', '.status.volumes', 'Volumes with a replica here.')),
    columns.wide(columns.text('PATH', '.spec.path', 'The directory on the node.')),
    columns.wide(columns.reason('REASON', 'Ready', 'Why it is ready or not.')),
  ],
  selectable: ['.spec.node'],
  rules: [nameRule],
  conditions: [
    { type: 'Ready', meaning: 'Volumes can be made in it and written to.' },
    { type: 'Online', meaning: 'The agent has it open.' },
    { type: 'ReadOnly', meaning: 'It takes no writes; bad when True.' },
    {
      type: 'Drained',
      meaning: 'No replica is left here; while False, the reason says whether one moves or cannot.',
    },
    { type: 'FillingUp', meaning: 'More than 80 % are used; the reason says how much.' },
    { type: 'Writable', meaning: 'There is room for writes; as the engine says it.' },
    { type: 'DataDamaged', meaning: 'Chunks failed their check; bad when True.' },
    { type: 'JournalDamaged', meaning: 'Acknowledged writes were lost; bad when True.' },
  ],
});

export type Pool = KindObject<'Pool', PoolSpec, PoolStatus>;
export type PoolSpec = FrozenStatic<typeof spec>;
export type PoolStatus = FrozenStatic<typeof status>;
export const pools = resourceOf<Pool>(poolKind);
