/** The copy of one volume, as part of a migration. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, resourceOf } from './kind.ts';
import {
  accessModes,
  claimIn,
  declined,
  endingConditions,
  methodMeaning,
  methods,
  transferStatus,
  volumeMode,
} from './migrating.ts';
import {
  bytes,
  count,
  fields,
  flag,
  keyed,
  objectName,
  optional,
  ownName,
  quantity,
  rate,
  statusBase,
  stays,
  text,
  unchanged,
  word,
} from './schema.ts';

const destination = fields('The claim to make.', {
  ...claimIn,
  storageClass: optional(objectName('Its storage class.')),
  accessModes: optional(accessModes('Its access modes; those of the source when not given.')),
  volumeMode: optional(volumeMode('Files, or a raw device; as the source when not given.')),
  size: optional(quantity('Its size; as large as the source when not given.')),
});

const spec = fields(
  'What to copy where. `bandwidth`, `paused`, `canceled` and `discard` can be changed later.',
  {
    migration: optional(objectName('The Migration it belongs to.')),
    source: fields('The claim to copy.', claimIn),
    destination,
    action: optional(
      word(
        ['Copy', 'Move'],
        'Copy: a new volume gets the data. Move: the same remote volume is used, such as NFS.',
        { default: 'Copy', rules: [unchanged('action')] },
      ),
    ),
    method: optional(word(methods, `${methodMeaning} The first that works when not given.`)),
    repository: optional(ownName('The Repository to go through, where there is no direct way.')),
    overwrite: optional(
      flag('The claim is there already, and its content becomes that of the source.', {
        default: false,
      }),
    ),
    verify: optional(flag('Compare every byte of both sides at the end.', { default: false })),
    pass: optional(
      word(['Ahead', 'Last'], 'Ahead: writers may run. Last: none is left, so the copy is exact.', {
        default: 'Ahead',
        rules: [unchanged('pass')],
      }),
    ),
    bandwidth: optional(rate('Bytes a second at most, such as 100Mi.')),
    paused: optional(flag('Send nothing until it is false again.', { default: false })),
    canceled: optional(flag('Stop. Cannot be taken back.', { default: false })),
    discard: optional(
      flag('With canceled: take away what it made at the destination, its data included.', {
        default: false,
      }),
    ),
  },
  {
    rules: [
      { rule: stays('canceled'), message: 'a canceled transfer stays canceled' },
      { ...unchanged('source'), rule: 'self.source == oldSelf.source' },
      { ...unchanged('destination'), rule: 'self.destination == oldSelf.destination' },
    ],
  },
);

const side = (description: string) =>
  fields(description, {
    files: optional(count('Files, or blocks.')),
    bytes: optional(bytes('Bytes.')),
    digest: optional(text('Fingerprint of the content.', { max: 128 })),
  });

const status = fields('How far it is.', {
  ...statusBase,
  ...transferStatus,
  method: optional(word(methods, 'The method that was chosen.')),
  declined: optional(keyed('The methods that cannot be used.', ['method'], declined, { max: 4 })),
  volume: optional(objectName('The PersistentVolume at the destination.')),
  audit: optional(
    fields('What was counted on both sides at the end.', {
      source: optional(side('At the source.')),
      destination: optional(side('At the destination.')),
    }),
  ),
});

export const volumeTransferKind = defineKind({
  kind: 'VolumeTransfer',
  plural: 'volumetransfers',
  singular: 'volumetransfer',
  shortNames: ['tvt'],
  namespaced: true,
  about: 'The copy of one volume, as part of a migration.',
  spec,
  status,
  columns: [
    columns.text('CLAIM', '.spec.source.claim', 'The claim that is copied.'),
    columns.text('METHOD', '.status.method', 'How its bytes travel.'),
    columns.text('PHASE', '.status.phase', 'Summary.'),
    columns.text('PROGRESS', '.status.progress', 'Share of the bytes that are there.'),
    columns.number('ATTEMPTS', '.status.attempts', 'How often it was begun.'),
    columns.wide(columns.text('SOURCE', '.spec.source.cluster', 'Where it comes from.')),
    columns.wide(columns.text('TARGET', '.spec.destination.cluster', 'Where it goes.')),
    columns.wide(columns.text('RATE', '.status.rate', 'How fast the bytes come.')),
    columns.wide(columns.reason('REASON', 'Succeeded', 'Why it is where it is.')),
  ],
  selectable: ['.spec.migration'],
  conditions: [
    ...endingConditions,
    { type: 'Verified', meaning: 'Count, bytes and fingerprint are equal on both sides.' },
    { type: 'CleanedUp', meaning: 'After the end: no helper is left.' },
    { type: 'Complete', meaning: 'After success: all bytes are there, the source is not needed.' },
  ],
});

export type VolumeTransfer = KindObject<'VolumeTransfer', VolumeTransferSpec, VolumeTransferStatus>;
export type VolumeTransferSpec = FrozenStatic<typeof spec>;
export type VolumeTransferStatus = FrozenStatic<typeof status>;
export const volumeTransfers = resourceOf<VolumeTransfer>(volumeTransferKind);
