/** A view of one copy of a replicated volume; what is wanted is in the Volume. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, resourceOf } from './kind.ts';
import { replicaColumns, replicaStatus } from './replica-status.ts';
import { fields, objectName, optional, ownName, shown, statusBase } from './schema.ts';

const spec = fields(
  'Which copy it shows. To change what there is, edit the replicas of the Volume.',
  {
    volume: ownName('The Volume.'),
    pool: ownName('The Pool that keeps the copy.'),
    node: optional(objectName('The node of that pool.')),
  },
  {
    rules: [
      {
        rule: 'self == oldSelf',
        message: 'this is a view: edit spec.replicas of the Volume instead',
      },
    ],
  },
);

const { state, ...numbers } = replicaStatus;

const status = fields('How the copy stands.', {
  ...statusBase,
  phase: optional(state),
  ...numbers,
  ...replicaColumns,
  eta: optional(shown('Time until it has everything.')),
});

export const volumeReplicaKind = defineKind({
  kind: 'VolumeReplica',
  plural: 'volumereplicas',
  singular: 'volumereplica',
  shortNames: ['tvr'],
  namespaced: false,
  about:
    'One copy of a replicated volume, for looking at; made and deleted by the controller as ' +
    'VOLUME-POOL.',
  spec,
  status,
  columns: [
    columns.text('USED', '.status.used', 'Bytes of the volume that it has.'),
    columns.text('ALLOCATED', '.status.allocated', 'Bytes of its content in the pool.'),
    columns.text('STATUS', '.status.phase', 'How it stands.'),
    columns.wide(columns.text('VOLUME', '.spec.volume', 'The volume.')),
    columns.wide(columns.text('POOL', '.spec.pool', 'The pool that keeps it.')),
    columns.wide(columns.text('HOSTNAME', '.spec.node', 'The node of that pool.')),
    columns.wide(columns.number('PROGRESS', '.status.progress', 'Percent that it has.')),
    columns.wide(columns.text('ETA', '.status.eta', 'Time until it has everything.')),
  ],
  selectable: ['.spec.volume', '.spec.pool'],
  conditions: [
    { type: 'Ready', meaning: 'It is Healthy: it has everything and counts for the majority.' },
  ],
});

export type VolumeReplica = KindObject<'VolumeReplica', VolumeReplicaSpec, VolumeReplicaStatus>;
export type VolumeReplicaSpec = FrozenStatic<typeof spec>;
export type VolumeReplicaStatus = FrozenStatic<typeof status>;
export const volumeReplicas = resourceOf<VolumeReplica>(volumeReplicaKind);
