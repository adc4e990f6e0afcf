// Kinds that run pods: selectors, templates, and what may not change.
import type { FieldError, Json, JsonObject } from '../api.ts';
import { forbidden, invalid, required } from '../field-errors.ts';
import { at, equal, isObject, listAt, textAt } from '../json.ts';
import {
  checkCounts,
  checkFixed,
  checkLabel,
  checkSelector,
  selects,
  type Validate,
} from './checks.ts';
import { cronTrouble } from './cron.ts';
import { checkPodSpec } from './validate-pods.ts';

const always = ['Always'];
const untilDone = ['OnFailure', 'Never'];

interface TemplateRules {
  readonly kind: string;
  readonly restart: readonly string[];
}

/** The selector says which pods are its own, so its template must make such. */
function checkTemplate(object: JsonObject, rules: TemplateRules): readonly FieldError[] {
  const spec = object['spec'];
  const selector = at(spec, 'selector');
  const errors: FieldError[] = [];
  const isEmpty = isObject(selector) && Object.keys(selector).length === 0;
  if (selector === undefined) errors.push(required('spec.selector'));
  if (isEmpty) {
    const why = `empty selector is invalid for ${rules.kind}`;
    errors.push(invalid('spec.selector', selector, why));
  }
  errors.push(...checkSelector(selector, 'spec.selector'));
  const labels = at(spec, 'template', 'metadata', 'labels');
  if (selector === undefined || !selects(selector, labels)) {
    const why = '`selector` does not match template `labels`';
    errors.push(invalid('spec.template.metadata.labels', labels ?? null, why));
  }
  errors.push(
    ...checkCounts(spec, 'spec', ['replicas', 'minReadySeconds', 'revisionHistoryLimit']),
  );
  const place = { path: 'spec.template.spec', restart: rules.restart };
  const claims = listAt(spec, 'volumeClaimTemplates').map(
    (claim) => textAt(claim, 'metadata', 'name') ?? '',
  );
  return [...errors, ...checkPodSpec(at(spec, 'template', 'spec'), { ...place, claims })];
}

/** An absolute number or a percentage; 0 of both is no way to roll anything out. */
function checkRolling(rolling: Json | undefined, path: string): readonly FieldError[] {
  const isZero = (value: Json | undefined): boolean => value === 0 || value === '0%';
  const unavailable = at(rolling, 'maxUnavailable');
  if (!isZero(unavailable) || !isZero(at(rolling, 'maxSurge'))) return [];
  const why = 'may not be 0 when `maxSurge` is 0';
  return [invalid(`${path}.maxUnavailable`, unavailable ?? null, why)];
}

export const checkDeployment: Validate = (object, old) => {
  const strategy = at(object, 'spec', 'strategy');
  const path = 'spec.strategy.rollingUpdate';
  const rolling = at(strategy, 'rollingUpdate');
  const isRecreated = textAt(strategy, 'type') === 'Recreate';
  const why = "may not be specified when strategy `type` is 'Recreate'";
  return [
    ...checkTemplate(object, { kind: 'deployment', restart: always }),
    ...(isRecreated && rolling !== undefined ? [forbidden(path, why)] : []),
    ...checkRolling(rolling, path),
    ...checkFixed(object, old, [['spec', 'selector']]),
  ];
};

export const checkReplicaSet: Validate = (object, old) => [
  ...checkTemplate(object, { kind: 'replicaset', restart: always }),
  ...checkFixed(object, old, [['spec', 'selector']]),
];

export const checkDaemonSet: Validate = (object, old) => [
  ...checkTemplate(object, { kind: 'daemonset', restart: always }),
  ...checkRolling(
    at(object, 'spec', 'updateStrategy', 'rollingUpdate'),
    'spec.updateStrategy.rollingUpdate',
  ),
  ...checkFixed(object, old, [['spec', 'selector']]),
];

const statefulWords =
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', " +
  "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and " +
  "'minReadySeconds' are forbidden";
const statefulFree: ReadonlySet<string> = new Set(
  (
    'replicas ordinals template updateStrategy revisionHistoryLimit ' +
    'persistentVolumeClaimRetentionPolicy minReadySeconds'
  ).split(' '),
);

export const checkStatefulSet: Validate = (object, old) => {
  const spec = object['spec'];
  const service = textAt(spec, 'serviceName') ?? '';
  const errors = [...checkTemplate(object, { kind: 'statefulset', restart: always })];
  if (service !== '') errors.push(...checkLabel('spec.serviceName', service));
  if (old === undefined) return errors;
  const fixed = (value: Json | undefined): Json =>
    Object.fromEntries(
      Object.entries(isObject(value) ? value : {}).filter(([key]) => !statefulFree.has(key)),
    );
  if (!equal(fixed(spec), fixed(old['spec']))) errors.push(forbidden('spec', statefulWords));
  return errors;
};

const jobCounts = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
];

export const checkJob: Validate = (object, old) => {
  const spec = object['spec'];
  const errors = [...checkCounts(spec, 'spec', jobCounts)];
  const place = { path: 'spec.template.spec', restart: untilDone };
  errors.push(...checkPodSpec(at(spec, 'template', 'spec'), place));
  const isIndexed = textAt(spec, 'completionMode') === 'Indexed';
  if (isIndexed && at(spec, 'completions') === undefined) {
    const why = 'when completion mode is Indexed';
    errors.push(required('spec.completions', why));
  }
  const selector = at(spec, 'selector');
  const labels = at(spec, 'template', 'metadata', 'labels');
  if (selector !== undefined && !selects(selector, labels)) {
    const why = '`selector` does not match template `labels`';
    errors.push(invalid('spec.template.metadata.labels', labels ?? null, why));
  }
  return [...errors, ...checkOwnSelector(object, old), ...checkJobUpdate(object, old)];
};

/** Unless it says so, a job's selector is its uid. */
function checkOwnSelector(object: JsonObject, old: JsonObject | undefined): readonly FieldError[] {
  const selector = at(object, 'spec', 'selector');
  const uid = textAt(object, 'metadata', 'uid');
  if (old !== undefined || uid === undefined || selector === undefined) return [];
  if (at(object, 'spec', 'manualSelector') === true) return [];
  const own = textAt(selector, 'matchLabels', 'batch.kubernetes.io/controller-uid');
  const labels = Object.keys(at(selector, 'matchLabels') ?? {});
  if (own === uid && labels.length === 1) return [];
  return [invalid('spec.selector', selector, '`selector` not auto-generated')];
}

function checkJobUpdate(object: JsonObject, old: JsonObject | undefined): readonly FieldError[] {
  if (old === undefined) return [];
  const isSuspended = at(old, 'spec', 'suspend') === true;
  const isIndexed = textAt(object, 'spec', 'completionMode') === 'Indexed';
  const fixed = [
    ['spec', 'selector'],
    ['spec', 'completionMode'],
    ...(isIndexed ? [] : [['spec', 'completions']]),
    // Where a suspended job's pods will run may still be decided.
    ...(isSuspended ? [] : [['spec', 'template']]),
  ];
  return checkFixed(object, old, fixed);
}

export const checkCronJob: Validate = (object) => {
  const spec = object['spec'];
  const schedule = textAt(spec, 'schedule') ?? '';
  const errors: FieldError[] = [];
  const trouble = schedule === '' ? undefined : cronTrouble(schedule);
  if (schedule === '') errors.push(required('spec.schedule'));
  if (trouble !== undefined) errors.push(invalid('spec.schedule', schedule, trouble));
  const zone = textAt(spec, 'timeZone');
  if (zone !== undefined && !isTimeZone(zone)) {
    errors.push(invalid('spec.timeZone', zone, `unknown time zone ${zone}`));
  }
  const counts = [
    'startingDeadlineSeconds',
    'successfulJobsHistoryLimit',
    'failedJobsHistoryLimit',
  ];
  errors.push(...checkCounts(spec, 'spec', counts));
  const template = at(spec, 'jobTemplate', 'spec');
  errors.push(...checkCounts(template, 'spec.jobTemplate.spec', jobCounts));
  const place = { path: 'spec.jobTemplate.spec.template.spec', restart: untilDone };
  return [...errors, ...checkPodSpec(at(template, 'template', 'spec'), place)];
};

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
