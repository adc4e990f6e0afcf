// Columns of what runs pods.
import type { JsonObject, PrinterColumn } from '../api.ts';
import { at, listAt, textAt } from '../json.ts';
import {
  age,
  between,
  column,
  count,
  labelsText,
  name,
  numberAt,
  podSpecColumns,
  selectorText,
  since,
  text,
  textOr,
  wide,
} from './cells.ts';

const templateColumns = podSpecColumns('spec', 'template', 'spec');
const selector = wide('Selector', (object) => selectorText(at(object, 'spec', 'selector')));
const integer = 'integer';

const replicas: readonly PrinterColumn[] = [
  column('Desired', count('spec', 'replicas'), integer),
  column('Current', count('status', 'replicas'), integer),
  column('Ready', count('status', 'readyReplicas'), integer),
];

function ready(object: JsonObject): string {
  return `${numberAt(object, 'status', 'readyReplicas')}/${numberAt(object, 'spec', 'replicas')}`;
}

function completions(job: JsonObject): string {
  const done = numberAt(job, 'status', 'succeeded');
  const wanted = at(job, 'spec', 'completions');
  if (typeof wanted === 'number') return `${done}/${wanted}`;
  const parallel = numberAt(job, 'spec', 'parallelism');
  return parallel > 1 ? `${done}/1 of ${parallel}` : `${done}/1`;
}

function jobStatus(job: JsonObject): string {
  const holds = (type: string): boolean =>
    listAt(job, 'status', 'conditions').some(
      (condition) => textAt(condition, 'type') === type && textAt(condition, 'status') === 'True',
    );
  if (holds('Complete')) return 'Complete';
  if (holds('Failed')) return 'Failed';
  if (textAt(job, 'metadata', 'deletionTimestamp') !== undefined) return 'Terminating';
  if (holds('Suspended')) return 'Suspended';
  if (holds('FailureTarget')) return 'FailureTarget';
  return holds('SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running';
}

function jobDuration(job: JsonObject, nowMs: number): string {
  const start = textAt(job, 'status', 'startTime');
  if (start === undefined) return '';
  const end = textAt(job, 'status', 'completionTime');
  return between(start, end === undefined ? nowMs : Date.parse(end));
}

export const workloadColumns: Readonly<Record<string, readonly PrinterColumn[]>> = {
  'core.PodTemplate': [
    name,
    ...podSpecColumns('template', 'spec').map((one) => ({ ...one, priority: 0 })),
    column('Pod Labels', (object) => labelsText(at(object, 'template', 'metadata', 'labels'))),
  ],
  'core.ReplicationController': [
    name,
    ...replicas,
    age,
    ...templateColumns,
    wide('Selector', (object) => labelsText(at(object, 'spec', 'selector'))),
  ],
  'apps.ControllerRevision': [
    name,
    column('Controller', (object) => {
      const owner = listAt(object, 'metadata', 'ownerReferences').find(
        (reference) => at(reference, 'controller') === true,
      );
      if (owner === undefined) return '<none>';
      const group = (textAt(owner, 'apiVersion') ?? '').split('/').toReversed()[1];
      const kind = (textAt(owner, 'kind') ?? '').toLowerCase();
      return `${kind}${group === undefined ? '' : `.${group}`}/${textAt(owner, 'name')}`;
    }),
    column('Revision', count('revision')),
    age,
  ],
  'apps.DaemonSet': [
    name,
    column('Desired', count('status', 'desiredNumberScheduled'), integer),
    column('Current', count('status', 'currentNumberScheduled'), integer),
    column('Ready', count('status', 'numberReady'), integer),
    column('Up-to-date', count('status', 'updatedNumberScheduled'), integer),
    column('Available', count('status', 'numberAvailable'), integer),
    column('Node Selector', (object) =>
      labelsText(at(object, 'spec', 'template', 'spec', 'nodeSelector')),
    ),
    age,
    ...templateColumns,
    selector,
  ],
  'apps.Deployment': [
    name,
    column('Ready', ready),
    column('Up-to-date', count('status', 'updatedReplicas')),
    column('Available', count('status', 'availableReplicas')),
    age,
    ...templateColumns,
    selector,
  ],
  'apps.ReplicaSet': [name, ...replicas, age, ...templateColumns, selector],
  'apps.StatefulSet': [name, column('Ready', ready), age, ...templateColumns],
  'batch.CronJob': [
    name,
    column('Schedule', text('spec', 'schedule')),
    column('Timezone', textOr('<none>', 'spec', 'timeZone')),
    column(
      'Suspend',
      (object) => (at(object, 'spec', 'suspend') === true ? 'True' : 'False'),
      'boolean',
    ),
    column('Active', (object) => listAt(object, 'status', 'active').length, integer),
    column('Last Schedule', since('status', 'lastScheduleTime')),
    age,
    ...podSpecColumns('spec', 'jobTemplate', 'spec', 'template', 'spec'),
    wide('Selector', (object) =>
      selectorText(at(object, 'spec', 'jobTemplate', 'spec', 'selector')),
    ),
  ],
  'batch.Job': [
    name,
    column('Status', jobStatus),
    column('Completions', completions),
    column('Duration', jobDuration),
    age,
    ...templateColumns,
    selector,
  ],
};
