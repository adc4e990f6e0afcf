/** A copy of namespaces to another cluster, after checks that a person may overrule. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, resourceOf } from './kind.ts';
import { checksMax, endingConditions, namespacesMax } from './migrating.ts';
import { step } from './migration.ts';
import {
  bounds,
  bytes,
  count,
  duration,
  fields,
  flag,
  keyed,
  labelName,
  list,
  objectName,
  optional,
  ownName,
  rate,
  setOf,
  shown,
  statusBase,
  text,
  time,
  unchanged,
  word,
} from './schema.ts';

/** Backups of one replication. */
export const keepMax = 100;

export const decisions = ['Remediate', 'Recheck', 'ProceedAnyway', 'Stop'] as const;

const namespace = fields('A namespace to replicate.', {
  name: labelName('Its name at the source.'),
  to: optional(labelName('Its name at the destination; the same when not given.')),
});

const spec = fields(
  'What to replicate where.',
  {
    source: optional(
      ownName('The Cluster to replicate from; the repository when not given.', {
        rules: [unchanged('source')],
      }),
    ),
    destination: optional(
      ownName('The Cluster to replicate to; the repository when not given.', {
        rules: [unchanged('destination')],
      }),
    ),
    namespaces: keyed('The namespaces to replicate.', ['name'], namespace, {
      min: 1,
      max: namespacesMax,
      rules: [unchanged('namespaces')],
    }),
    decision: optional(
      word(
        decisions,
        'What to do after checks that failed; taken once, then it is removed. Remediate: correct ' +
          'what can be corrected, and start if nothing else is in the way. Recheck: look again. ' +
          'ProceedAnyway: start all the same. Stop: end; raise `run` to begin again.',
      ),
    ),
    onlyCheck: optional(
      flag('Only check. Nothing is corrected or replicated until it is false.', { default: false }),
    ),
    volumes: optional(
      word(['Include', 'Exclude'], 'Whether the data of volumes is replicated too.', {
        default: 'Include',
      }),
    ),
    workloads: optional(
      word(
        ['Run', 'Standby'],
        'Whether workloads run at the destination. Standby: they are made and stay stopped. ' +
          'When not given: Standby when `continuous` is given, else Run.',
      ),
    ),
    repository: optional(
      ownName(
        'The Repository to go through where there is no direct way. Without a destination: to ' +
          'make backups in. Without a source: to restore one from.',
      ),
    ),
    version: optional(
      text('The backup to restore, such as shop-1f2e3d4c-3; the newest when not given.', {
        min: 1,
        max: 128,
        rules: [unchanged('version')],
      }),
    ),
    keep: optional(
      count('Backups to keep in the repository, the newest ones; 7 when not given.', {
        min: 1,
        max: keepMax,
      }),
    ),
    bandwidth: optional(rate('Bytes a second at most over all volumes.')),
    continuous: optional(
      duration('Begin again so often after the last beginning, such as 5m; once when not given.'),
    ),
    run: optional(
      count('Raise it to replicate again: only what differs is sent.', {
        max: 2 ** 31,
        default: 1,
      }),
    ),
  },
  {
    rules: [
      {
        rule: 'has(self.source) || has(self.destination)',
        message: 'give a source, a destination, or both',
        fieldPath: '.source',
      },
      {
        rule: '(has(self.source) && has(self.destination)) || has(self.repository)',
        message: 'without a source or a destination it needs a repository in its place',
        fieldPath: '.repository',
      },
      {
        rule:
          'has(self.source) == has(oldSelf.source) && ' +
          'has(self.destination) == has(oldSelf.destination) && ' +
          'has(self.version) == has(oldSelf.version)',
        message: 'source, destination and version cannot come or go; make a new object instead',
      },
      {
        rule:
          '(has(self.source) && has(self.destination)) || ' +
          '(has(self.repository) == has(oldSelf.repository) && ' +
          'self.repository == oldSelf.repository)',
        message: 'the repository of backups cannot be changed; make a new object instead',
        fieldPath: '.repository',
      },
      {
        rule: '!has(self.version) || !has(self.source)',
        message: 'a version is what is restored: it goes without a source',
        fieldPath: '.version',
      },
      {
        rule: '!has(self.keep) || !has(self.destination)',
        message: 'keep is for backups: it goes without a destination',
        fieldPath: '.keep',
      },
      {
        rule: '!has(self.continuous) || has(self.source)',
        message: 'what is restored does not change: continuous needs a source',
        fieldPath: '.continuous',
      },
      {
        rule: 'has(self.destination) || self.namespaces.all(one, !has(one.to))',
        message: 'in a backup a namespace keeps its name; another one is given when it is restored',
        fieldPath: '.namespaces',
      },
      {
        rule:
          '!has(self.source) || !has(self.destination) || self.source != self.destination || ' +
          'self.namespaces.all(one, has(one.to) && one.to != one.name)',
        message: 'within one cluster each namespace needs another name, in `to`',
        fieldPath: '.namespaces',
      },
      {
        rule: "!has(self.continuous) || !self.continuous.matches('^(0|[0-9]s)$')",
        message: 'continuous is at least 10s',
        fieldPath: '.continuous',
      },
    ],
  },
);

const check = fields('One check, and what came out.', {
  name: text('Name of the check, the same in all versions.', { min: 1, max: 128 }),
  result: word(
    ['Pending', 'Compatible', 'Actionable', 'Incompatible'],
    'Actionable: the decision Remediate corrects it. Incompatible: only a person can.',
  ),
  message: optional(text('What was found.', { max: bounds.reason })),
  fix: optional(text('What Remediate would do.', { max: bounds.reason })),
  remedy: optional(text('What a person can do.', { max: bounds.reason })),
});

const replicated = fields('How many objects of one resource are there.', {
  resource: text('The resource, as PLURAL or PLURAL.GROUP.', { min: 1, max: 316 }),
  total: count('Objects at the source.'),
  replicated: count('Objects at the destination as the source has them.'),
  kept: optional(count('Objects that stayed as the destination has them.')),
  failed: optional(count('Objects that could not be made.')),
});

const mapping = fields('A class and what takes its place.', {
  from: objectName('At the source.'),
  to: objectName('At the destination.'),
});

const backup = fields('A backup in the repository.', {
  name: text('Its name there.', { min: 1, max: 128 }),
  time: time('The moment that it is of.'),
  objects: count('Objects in it.'),
  volumes: count('Volumes in it.'),
  bytes: bytes('Bytes in these volumes.'),
  addedBytes: bytes('Bytes that the repository did not have before.'),
});

const status = fields('How far it is.', {
  ...statusBase,
  jobId: optional(text('The run, for logs and support.', { max: 64 })),
  run: optional(count('The `spec.run` that was last acted on.')),
  runs: optional(count('Runs that were begun.')),
  state: optional(word(['InProgress', 'Success', 'Error'], 'Summary for people.')),
  phase: optional(
    word(
      ['Checking', 'Halted', 'Remediating', 'Queued', 'Running', 'Waiting', 'Stopped', 'Done'],
      'What it is at.',
    ),
  ),
  startTime: optional(time('When the run began.')),
  completionTime: optional(time('When the run ended, well or not.')),
  checkedTime: optional(time('When the checks were last made.')),
  checks: optional(keyed('The checks before it.', ['name'], check, { max: checksMax })),
  compatible: optional(count('Checks that found nothing in the way.')),
  actionable: optional(count('Checks that found what Remediate corrects.')),
  incompatible: optional(count('Checks that found what only a person can correct.')),
  offers: optional(
    setOf('Decisions that make sense now.', word(decisions, 'One decision.'), { max: 4 }),
  ),
  decided: optional(
    fields('The decision that was last taken.', {
      decision: word(decisions, 'Which.'),
      time: time('When.'),
      generation: count('The `metadata.generation` of the object that had it.'),
    }),
  ),
  overruled: optional(flag('Somebody decided to proceed in spite of the checks of this run.')),
  agreed: optional(
    fields('What Remediate settled, for this run and the next ones.', {
      storageClasses: optional(
        keyed('Storage classes of the destination in the place of others.', ['from'], mapping, {
          max: 256,
        }),
      ),
      images: optional(flag('Images in the registry of the source are copied.')),
    }),
  ),
  itinerary: optional(keyed('All steps of the run, in order.', ['name'], step, { max: 64 })),
  step: optional(text('The step that runs. For people.', { max: 64 })),
  percent: optional(count('Share of the work that is done.', { max: 100 })),
  totalBytes: optional(bytes('Bytes to be had at the destination.')),
  copiedBytes: optional(bytes('Bytes that are there.')),
  bytesPerSecond: optional(bytes('Bytes that arrive in a second, over the last seconds.')),
  lagSeconds: optional(count('How old the data at the destination is.')),
  dataTime: optional(time('The moment of the source that the destination has.')),
  resources: optional(keyed('What was replicated.', ['resource'], replicated, { max: 512 })),
  report: optional(
    fields('What came out of the last run that succeeded.', {
      objects: optional(count('Objects at the destination as the source has them.')),
      volumes: optional(count('Volumes copied.')),
      images: optional(count('Images copied.')),
      bytes: optional(bytes('Bytes in the volumes.')),
      wireBytes: optional(bytes('Bytes as they travelled.')),
      seconds: optional(count('Seconds from start to end.')),
    }),
  ),
  backups: optional(keyed('Backups that it keeps.', ['name'], backup, { max: keepMax + 1 })),
  restored: optional(text('The backup that was restored.', { max: 128 })),
  notes: optional(
    list('What was kept as others have it, and what to look at.', text('One sentence.'), {
      max: 100,
    }),
  ),
  display: optional(
    fields('The columns of `kubectl get`, as text. For people.', {
      from: optional(shown('A cluster, or a repository.')),
      to: optional(shown('A cluster, or a repository.')),
      progress: optional(shown('Such as 47%.')),
      lag: optional(shown('Such as 12s.')),
      checks: optional(shown('Compatible, actionable and incompatible ones.')),
    }),
  ),
});

export const replicationKind = defineKind({
  kind: 'Replication',
  plural: 'replications',
  singular: 'replication',
  shortNames: ['trl'],
  namespaced: true,
  about:
    'A copy of whole namespaces to another cluster, or a backup of them in a repository, after ' +
    'checks that you may overrule.',
  spec,
  status,
  columns: [
    columns.text('SOURCE', '.status.display.from', 'Where it comes from.'),
    columns.text('DESTINATION', '.status.display.to', 'Where it goes.'),
    columns.text('STATE', '.status.state', 'Summary.'),
    columns.text('PHASE', '.status.phase', 'What it is at.'),
    columns.text('CHECKS', '.status.display.checks', 'Compatible, actionable, incompatible.'),
    columns.text('PROGRESS', '.status.display.progress', 'Share of the work that is done.'),
    columns.wide(columns.text('LAG', '.status.display.lag', 'How old its data is.')),
    columns.wide(columns.text('JOB', '.status.jobId', 'The run.')),
    columns.wide(columns.date('STARTED', '.status.startTime', 'When it began.')),
    columns.wide(columns.reason('REASON', 'Succeeded', 'Why it is where it is.')),
  ],
  conditions: [
    ...endingConditions,
    {
      type: 'ChecksPassed',
      meaning: 'No check stands in the way, or a person overruled it.',
    },
    {
      type: 'InSync',
      meaning: 'Of a continuous one: its data is not older than two intervals.',
    },
  ],
});

export type Replication = KindObject<'Replication', ReplicationSpec, ReplicationStatus>;
export type ReplicationSpec = FrozenStatic<typeof spec>;
export type ReplicationStatus = FrozenStatic<typeof status>;
export type Decision = (typeof decisions)[number];
export const replications = resourceOf<Replication>(replicationKind);
