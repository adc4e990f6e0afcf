/** The copy of one image from registry to registry, as part of a migration. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, resourceOf } from './kind.ts';
import { endingConditions, transferStatus } from './migrating.ts';
import {
  bounds,
  count,
  fields,
  flag,
  objectName,
  optional,
  ownName,
  statusBase,
  text,
  unchanged,
  word,
} from './schema.ts';

const side = (description: string) =>
  fields(description, {
    cluster: ownName('The Cluster whose registry it is.'),
    reference: text('The image without its registry, such as shop/web:1.4.', {
      min: 1,
      max: bounds.reason,
      pattern: '^[a-z0-9][a-z0-9._/-]*(:[A-Za-z0-9_.-]+)?(@sha256:[0-9a-f]{64})?$',
    }),
  });

const spec = fields(
  'Which image to copy where.',
  {
    migration: optional(objectName('The Migration it belongs to.')),
    source: side('The image to copy.'),
    destination: side('What it becomes.'),
    method: optional(
      word(
        ['Auto', 'Direct', 'Repository'],
        'Direct: from registry to registry. Repository: through the repository of the plan.',
        { default: 'Auto' },
      ),
    ),
    verify: optional(flag('Read the copy back and compare its digest.', { default: false })),
  },
  { rules: [{ ...unchanged('an image transfer'), rule: 'self == oldSelf' }] },
);

const status = fields('How far it is.', {
  ...statusBase,
  ...transferStatus,
  method: optional(word(['Direct', 'Repository'], 'The method that was chosen.')),
  layers: optional(count('Layers of the image.')),
  layersPresent: optional(count('Layers that the destination had already.')),
  digest: optional(text('Digest of the image at the destination.', { max: 128 })),
});

export const imageTransferKind = defineKind({
  kind: 'ImageTransfer',
  plural: 'imagetransfers',
  singular: 'imagetransfer',
  shortNames: ['tit'],
  namespaced: true,
  about: 'The copy of one image from registry to registry, as part of a migration.',
  spec,
  status,
  columns: [
    columns.text('IMAGE', '.spec.source.reference', 'The image that is copied.'),
    columns.text('PHASE', '.status.phase', 'Summary.'),
    columns.text('PROGRESS', '.status.progress', 'Share of the bytes that are there.'),
    columns.wide(columns.text('SOURCE', '.spec.source.cluster', 'Where it comes from.')),
    columns.wide(columns.text('TARGET', '.spec.destination.cluster', 'Where it goes.')),
    columns.wide(columns.text('RATE', '.status.rate', 'How fast the bytes come.')),
    columns.wide(columns.text('DIGEST', '.status.digest', 'Digest at the destination.')),
    columns.wide(columns.reason('REASON', 'Succeeded', 'Why it is where it is.')),
  ],
  selectable: ['.spec.migration'],
  conditions: endingConditions,
});

export type ImageTransfer = KindObject<'ImageTransfer', ImageTransferSpec, ImageTransferStatus>;
export type ImageTransferSpec = FrozenStatic<typeof spec>;
export type ImageTransferStatus = FrozenStatic<typeof status>;
export const imageTransfers = resourceOf<ImageTransfer>(imageTransferKind);
