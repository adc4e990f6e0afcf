/** What plans, migrations and their transfers have in common. */
import {
  bounds,
  bytes,
  count,
  fields,
  labelName,
  list,
  objectName,
  optional,
  ownName,
  setOf,
  shown,
  text,
  time,
  word,
} from './schema.ts';

/** Claims that one plan may name; also what its status lists. */
export const volumesMax = 1000;
export const namespacesMax = 100;

export const methods = ['Teleport', 'Snapshot', 'Block', 'Filesystem'] as const;

export const methodMeaning =
  'How its bytes travel. Teleport: usable at once. Snapshot: by the storage system. ' +
  'Block: changed blocks of the device. Filesystem: files.';

export const accessModes = (description: string) =>
  setOf(
    description,
    word(
      ['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOncePod'],
      'One access mode.',
    ),
    { max: 4 },
  );

export const volumeMode = (description: string) => word(['Filesystem', 'Block'], description);

/** A method that cannot be used, and why. */
export const declined = fields('A method that cannot be used.', {
  method: word(methods, 'The method.'),
  reason: text('Why, as one word.', { min: 1, max: 64 }),
  message: text('Why, as a sentence.', { max: bounds.reason }),
});

export const check = fields('One thing that was looked at before anything moves.', {
  id: text('Name of the check, the same in all versions.', { min: 1, max: 128 }),
  category: word(
    ['Critical', 'Error', 'Warning', 'Required', 'Advisory'],
    'Critical and Error must be solved first; Warning and Advisory are to be read.',
  ),
  result: word(['Passed', 'Failed', 'Skipped', 'Pending'], 'What came out.'),
  message: optional(text('What was found.', { max: bounds.reason })),
  remedy: optional(text('What to do about it.', { max: bounds.reason })),
});

export const checksMax = 256;

/** A claim in a cluster. */
export const claimIn = {
  cluster: ownName('The Cluster.'),
  namespace: labelName('The namespace.'),
  claim: objectName('The PersistentVolumeClaim.'),
};

/** What a transfer of one volume or image counts. */
export const transferStatus = {
  phase: optional(
    word(['Pending', 'Running', 'Succeeded', 'Failed', 'Canceled'], 'Summary for people.'),
  ),
  attempts: optional(count('How often it was begun.')),
  percent: optional(count('Share of the bytes that are there.', { max: 100 })),
  totalBytes: optional(bytes('Bytes to be had at the destination.')),
  copiedBytes: optional(bytes('Bytes that are there.')),
  wireBytes: optional(bytes('Bytes as they travelled.')),
  bytesPerSecond: optional(bytes('Bytes that arrive in a second, over the last seconds.')),
  elapsedSeconds: optional(count('Seconds since it began.')),
  progress: optional(shown('Such as 47%.')),
  rate: optional(shown('Such as 110Mi/s.')),
  route: optional(text('The way between the clusters that was taken.', { max: 256 })),
  log: optional(
    list('The last lines that the work printed.', text('One line.', { max: 256 }), { max: 20 }),
  ),
  startTime: optional(time('When it began.')),
  completionTime: optional(time('When it ended, well or not.')),
};

/** The conditions of what runs to an end. */
export const endingConditions = [
  { type: 'Ready', meaning: 'It can run: what it refers to is there and ready.' },
  { type: 'Succeeded', meaning: 'Unknown while it runs; then whether it did what was asked.' },
];
