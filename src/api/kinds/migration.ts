/** One run of a plan: a stage, a cutover or a rollback. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, resourceOf } from './kind.ts';
import { endingConditions, namespacesMax } from './migrating.ts';
import {
  bounds,
  bytes,
  count,
  fields,
  fixed,
  flag,
  list,
  keyed,
  labelName,
  objectName,
  optional,
  shown,
  statusBase,
  text,
  time,
  stays,
  unchanged,
  word,
} from './schema.ts';

const spec = fields(
  'Which plan to run, and how. `canceled`, `paused`, `holdBefore` and `retry` can change later.',
  {
    plan: objectName('The Plan, in the namespace of this object.', {
      rules: [unchanged('plan')],
    }),
    type: word(
      ['Stage', 'Cutover', 'Rollback', 'Rehearsal'],
      'Stage: copy data while workloads run. Cutover: finish, and start at the destination. ' +
        'Rollback: go back. Rehearsal: a copy in namespaces of its own; the source runs on.',
      { rules: [unchanged('type')] },
    ),
    quiesce: optional(
      flag('Stop the workloads at the source before the last copy; as the plan says if absent.'),
    ),
    verify: optional(
      flag('Wait until the workloads at the destination are healthy.', { default: true }),
    ),
    canceled: optional(
      flag('Stop, and put back what was changed. Cannot be taken back.', { default: false }),
    ),
    paused: optional(
      flag('Begin no further step and no further copy until it is false again.', {
        default: false,
      }),
    ),
    holdBefore: optional(
      text('Wait before this step of the itinerary until the field is gone.', {
        min: 1,
        max: 64,
      }),
    ),
    retry: optional(
      count('Raise it by one to go on after a failure, from the step that failed.', {
        max: 1000,
        default: 0,
      }),
    ),
    sandbox: optional(
      text('What is put behind the names of namespaces in a rehearsal; `-rehearsal` if absent.', {
        min: 2,
        max: 32,
        pattern: '^-[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
      }),
    ),
    keepData: optional(
      flag('Rollback brings what was written at the destination back to the source.', {
        default: true,
      }),
    ),
  },
  {
    rules: [
      ...fixed(['quiesce', 'verify', 'keepData', 'sandbox']),
      {
        rule: "!has(self.sandbox) || self.type == 'Rehearsal'",
        message: 'only a rehearsal has a sandbox',
      },
      {
        rule: '!has(oldSelf.retry) || (has(self.retry) && self.retry >= oldSelf.retry)',
        message: 'retry can only be raised',
      },
      {
        rule: stays('canceled'),
        message: 'a canceled migration stays canceled; make a new one',
      },
    ],
  },
);

export const step = fields('One step of the itinerary.', {
  name: text('Name of the step.', { min: 1, max: 64 }),
  state: word(['Pending', 'Running', 'Succeeded', 'Failed', 'Skipped', 'Undone'], 'How it stands.'),
  message: optional(text('What it does or waits for, and what to do.', { max: bounds.reason })),
  progress: optional(
    list('One line for each thing the step works on.', text('One line.', { max: 256 }), {
      max: 100,
    }),
  ),
  failure: optional(text('Why it failed; kept when it is taken back.', { max: bounds.reason })),
  blockedTime: optional(time('Since when it does not get on.')),
  startTime: optional(time('When it began.')),
  completionTime: optional(time('When it ended.')),
});

const report = fields('What came out of it.', {
  objects: optional(count('Objects made at the destination.')),
  volumes: optional(count('Volumes copied.')),
  images: optional(count('Images copied.')),
  bytes: optional(bytes('Bytes in them.')),
  wireBytes: optional(bytes('Bytes as they travelled.')),
  bytesPerSecond: optional(bytes('Bytes that arrived in a second, over the whole copy.')),
  seconds: optional(count('Seconds from start to end.')),
  downtimeSeconds: optional(count('Seconds that the workloads were down.')),
  verified: optional(count('Volumes whose closing audit found both sides equal.')),
});

const pair = fields('A namespace that it moves.', {
  name: labelName('Its name at the source.'),
  to: labelName('Its name at the destination.'),
});

const status = fields('How far it is.', {
  ...statusBase,
  step: optional(text('The step that runs. For people.', { max: 64 })),
  itinerary: optional(keyed('All steps, in order.', ['name'], step, { max: 64 })),
  percent: optional(count('Share of the work that is done.', { max: 100 })),
  totalBytes: optional(bytes('Bytes to be had at the destination.')),
  copiedBytes: optional(bytes('Bytes that are there.')),
  bytesPerSecond: optional(bytes('Bytes that arrive in a second, over the last seconds.')),
  lagSeconds: optional(count('How far the copy is behind the source.')),
  downtimeMilliseconds: optional(count('How long the workloads were down.')),
  retried: optional(count('The `spec.retry` that was last acted on.')),
  undo: optional(
    objectName('The Secret with what was stopped, in the first namespace at that cluster.'),
  ),
  namespaces: optional(
    keyed(
      'The namespaces of the plan when it began; the plan keeps them while it can be taken back.',
      ['name'],
      pair,
      { max: namespacesMax },
    ),
  ),
  report: optional(report),
  warnings: optional(list('What to look at afterwards.', text('One sentence.'), { max: 100 })),
  display: optional(
    fields('The columns of `kubectl get`, as text. For people.', {
      source: optional(text('The cluster it moves from.', { max: bounds.name })),
      target: optional(text('The cluster it moves to.', { max: bounds.name })),
      progress: optional(shown('Such as 47%.')),
      lag: optional(shown('Such as 12s.')),
      bytes: optional(shown('Bytes there and bytes in all.')),
      rate: optional(shown('Such as 110Mi/s.')),
    }),
  ),
  startTime: optional(time('When it began.')),
  completionTime: optional(time('When it ended, well or not.')),
});

export const migrationKind = defineKind({
  kind: 'Migration',
  plural: 'migrations',
  singular: 'migration',
  shortNames: ['tmig'],
  namespaced: true,
  about: 'One run of a plan: it copies ahead of time, cuts over, or goes back.',
  spec,
  status,
  columns: [
    columns.text('PLAN', '.spec.plan', 'The plan it runs.'),
    columns.text('TYPE', '.spec.type', 'Stage, Cutover, Rollback or Rehearsal.'),
    columns.condition('READY', 'Ready', 'Whether it can run.'),
    columns.text('STEP', '.status.step', 'The step that runs.'),
    columns.text('PROGRESS', '.status.display.progress', 'Share of the work that is done.'),
    columns.wide(columns.text('LAG', '.status.display.lag', 'How far behind the copy is.')),
    columns.wide(columns.text('SOURCE', '.status.display.source', 'Where it moves from.')),
    columns.wide(columns.text('TARGET', '.status.display.target', 'Where it moves to.')),
    columns.wide(columns.text('BYTES', '.status.display.bytes', 'Bytes there, and in all.')),
    columns.wide(columns.text('RATE', '.status.display.rate', 'How fast they come.')),
    columns.wide(columns.reason('REASON', 'Succeeded', 'Why it is where it is.')),
  ],
  selectable: ['.spec.plan', '.spec.type'],
  conditions: [
    ...endingConditions,
    { type: 'Staged', meaning: 'The data at the destination is a full, older copy.' },
    { type: 'CutOver', meaning: 'The workloads run at the destination.' },
    { type: 'RolledBack', meaning: 'The workloads run at the source again.' },
  ],
});

export type Migration = KindObject<'Migration', MigrationSpec, MigrationStatus>;
export type MigrationSpec = FrozenStatic<typeof spec>;
export type MigrationStatus = FrozenStatic<typeof status>;
export const migrations = resourceOf<Migration>(migrationKind);
