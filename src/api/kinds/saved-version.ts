/** A version of a volume, saved in a Repository by the agent that has the volume. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, nameRule, resourceOf } from './kind.ts';
import {
  bytes,
  count,
  fields,
  optional,
  ownName,
  rate,
  shown,
  statusBase,
  text,
  time,
  unchanged,
  word,
} from './schema.ts';

const spec = fields('What is saved, and where. The version has the name of this object.', {
  volume: ownName('The Volume to save, as it is when saving begins.', {
    rules: [unchanged('volume')],
  }),
  repository: ownName('The Repository to save it in.', { rules: [unchanged('repository')] }),
  bandwidth: optional(rate('Bytes a second to the repository, such as 100Mi.')),
});

const status = fields('How saving is doing.', {
  ...statusBase,
  phase: optional(word(['Pending', 'Running', 'Saved', 'Failed'], 'Summary for people.')),
  percent: optional(count('Share of the volume that was dealt with.', { max: 100 })),
  root: optional(text('Fingerprint of the content: equal content, equal root.', { max: 64 })),
  sizeBytes: optional(bytes('Bytes that the user of the volume sees.')),
  allocatedBytes: optional(bytes('Of these, bytes that are not holes.')),
  addedBytes: optional(bytes('Bytes that the repository did not have before.')),
  added: optional(shown('Bytes that the repository did not have before.')),
  completionTime: optional(time('When it ended, well or not.')),
});

export const savedVersionKind = defineKind({
  kind: 'SavedVersion',
  plural: 'savedversions',
  singular: 'savedversion',
  shortNames: ['tsaved'],
  namespaced: false,
  about:
    'A version of a volume in a Repository, made when this object is, and forgotten when it is ' +
    'deleted.',
  spec,
  status,
  columns: [
    columns.text('VOLUME', '.spec.volume', 'The volume.'),
    columns.text('REPOSITORY', '.spec.repository', 'Where it is saved.'),
    columns.text('STATUS', '.status.phase', 'Summary.'),
    columns.text('ADDED', '.status.added', 'Bytes that the repository did not have before.'),
    columns.wide(columns.number('PERCENT', '.status.percent', 'Share dealt with.')),
    columns.wide(columns.reason('REASON', 'Ready', 'Why it is ready or not.')),
  ],
  selectable: ['.spec.volume', '.spec.repository'],
  rules: [nameRule],
  conditions: [
    { type: 'Ready', meaning: 'It can be opened in any cluster that reaches the repository.' },
    { type: 'Succeeded', meaning: 'It was saved; False when that cannot be done.' },
  ],
});

export type SavedVersion = KindObject<'SavedVersion', SavedVersionSpec, SavedVersionStatus>;
export type SavedVersionSpec = FrozenStatic<typeof spec>;
export type SavedVersionStatus = FrozenStatic<typeof status>;
export const savedVersions = resourceOf<SavedVersion>(savedVersionKind);
