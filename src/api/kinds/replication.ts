/** A copy of namespaces to another cluster, after checks that a person may overrule. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, resourceOf } from './kind.ts';
import { checksMax, endingConditions, namespacesMax } from './migrating.ts';
import {
  bounds,
  count,
  fields,
  keyed,
  labelName,
  optional,
  ownName,
  setOf,
  statusBase,
  text,
  time,
  unchanged,
  word,
} from './schema.ts';

const spec = fields('What to replicate where.', {
  source: ownName('The Cluster to replicate from.', { rules: [unchanged('source')] }),
  destination: ownName('The Cluster to replicate to.', { rules: [unchanged('destination')] }),
  namespaces: setOf('The namespaces to replicate.', labelName('One namespace.'), {
    min: 1,
    max: namespacesMax,
    rules: [unchanged('namespaces')],
  }),
  decision: optional(
    word(
      ['Remediate', 'Recheck', 'ProceedAnyway', 'Stop'],
      'What to do after checks that failed. Remediate: correct what can be corrected.',
    ),
  ),
  volumes: optional(
    word(['Include', 'Exclude'], 'Whether the data of volumes is replicated too.', {
      default: 'Include',
    }),
  ),
});

const check = fields('One check, with how many objects came out how.', {
  name: text('Name of the check.', { min: 1, max: 128 }),
  compatible: count('Objects that can be replicated as they are.'),
  actionable: count('Objects that can be replicated once something is corrected.'),
  incompatible: count('Objects that cannot be replicated.'),
  message: optional(text('What was found.', { max: bounds.reason })),
  remedy: optional(text('What to do about it.', { max: bounds.reason })),
});

const replicated = fields('How many objects of one resource are there.', {
  resource: text('The resource, as PLURAL or PLURAL.GROUP.', { min: 1, max: 316 }),
  total: count('Objects at the source.'),
  replicated: count('Objects at the destination.'),
  failed: optional(count('Objects that could not be made.')),
});

const status = fields('How far it is.', {
  ...statusBase,
  jobId: optional(text('The run, for logs and support.', { max: 64 })),
  state: optional(word(['InProgress', 'Success', 'Error'], 'Summary for people.')),
  startTime: optional(time('When it began.')),
  completionTime: optional(time('When it ended, well or not.')),
  checks: optional(keyed('The checks before it.', ['name'], check, { max: checksMax })),
  resources: optional(keyed('What was replicated.', ['resource'], replicated, { max: 512 })),
});

export const replicationKind = defineKind({
  kind: 'Replication',
  plural: 'replications',
  singular: 'replication',
  shortNames: ['trl'],
  namespaced: true,
  about: 'A copy of whole namespaces to another cluster, after checks that you may overrule.',
  spec,
  status,
  columns: [
    columns.text('SOURCE', '.spec.source', 'Where it comes from.'),
    columns.text('DESTINATION', '.spec.destination', 'Where it goes.'),
    columns.text('STATE', '.status.state', 'Summary.'),
    columns.text('DECISION', '.spec.decision', 'What was decided after failed checks.'),
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
  ],
});

export type Replication = KindObject<'Replication', ReplicationSpec, ReplicationStatus>;
export type ReplicationSpec = FrozenStatic<typeof spec>;
export type ReplicationStatus = FrozenStatic<typeof status>;
export const replications = resourceOf<Replication>(replicationKind);
