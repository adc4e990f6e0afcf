// Pods: what a schema cannot say, and what may change once they are there.
import type { FieldError, Json, JsonObject } from '../api.ts';
import { duplicate, forbidden, invalid, notFound, required, unsupported } from '../field-errors.ts';
import { at, equal, isObject, listAt, textAt, without } from '../json.ts';
import { parseQuantity } from '../quantity.ts';
import { checkCounts, checkLabel, checkPort, checkRange, checkTexts } from './checks.ts';
import { containerLists } from './defaults-pods.ts';
import { editEach } from './edit.ts';

const int32Max = 2_147_483_647;

/** Where a pod's spec is, and what its kind allows. */
export interface PodRules {
  /** Volumes that come of a StatefulSet's claim templates. */
  readonly claims?: readonly string[];
  readonly path: string;
  /** Restart policies; undefined: all. */
  readonly restart?: readonly string[];
}

export function checkPodSpec(spec: Json | undefined, rules: PodRules): readonly FieldError[] {
  const { path } = rules;
  const named = listAt(spec, 'volumes').map((volume) => textAt(volume, 'name') ?? '');
  const volumes = new Set([...named, ...(rules.claims ?? [])]);
  const errors = [...checkVolumes(spec, path)];
  if (listAt(spec, 'containers').length === 0) errors.push(required(`${path}.containers`));
  const seen = new Set<string>();
  for (const list of containerLists) {
    listAt(spec, list).forEach((container, i) => {
      const place = `${path}.${list}[${i}]`;
      const name = textAt(container, 'name') ?? '';
      errors.push(...checkContainer(container, place, volumes));
      if (name !== '' && seen.has(name)) errors.push(duplicate(`${place}.name`, name));
      seen.add(name);
    });
  }
  errors.push(...checkRestart(spec, rules));
  const deadline = at(spec, 'activeDeadlineSeconds');
  errors.push(...checkRange(`${path}.activeDeadlineSeconds`, deadline, [1, int32Max]));
  return errors;
}

const policies: readonly string[] = ['Always', 'OnFailure', 'Never'];

function checkRestart(spec: Json | undefined, { path, restart }: PodRules): readonly FieldError[] {
  const field = `${path}.restartPolicy`;
  const policy = textAt(spec, 'restartPolicy') ?? 'Always';
  if (!policies.includes(policy)) return [unsupported(field, policy, policies)];
  if (restart === undefined || restart.includes(policy)) return [];
  if (restart.includes('Always')) return [unsupported(field, policy, restart)];
  return [required(field, 'valid values: "OnFailure", "Never"')];
}

function checkVolumes(spec: Json | undefined, path: string): readonly FieldError[] {
  const seen = new Set<string>();
  return listAt(spec, 'volumes').flatMap((volume, i) => {
    const place = `${path}.volumes[${i}]`;
    const name = textAt(volume, 'name') ?? '';
    const errors = [
      ...(name === '' ? [required(`${place}.name`)] : checkLabel(`${place}.name`, name)),
    ];
    if (seen.has(name)) errors.push(duplicate(`${place}.name`, name));
    seen.add(name);
    const sources = isObject(volume) ? Object.keys(without(volume, 'name')) : [];
    for (const extra of sources.slice(1)) {
      errors.push(forbidden(`${place}.${extra}`, 'may not specify more than 1 volume type'));
    }
    const [source = ''] = sources;
    return [
      ...errors,
      ...checkTexts(at(volume, source), `${place}.${source}`, needed[source] ?? []),
    ];
  });
}

/** Texts that a source of a volume cannot do without. */
const needed: Readonly<Record<string, readonly string[]>> = {
  configMap: ['name'],
  csi: ['driver'],
  hostPath: ['path'],
  nfs: ['server', 'path'],
  persistentVolumeClaim: ['claimName'],
  secret: ['secretName'],
};

function checkContainer(
  container: Json,
  path: string,
  volumes: ReadonlySet<string>,
): readonly FieldError[] {
  const name = textAt(container, 'name') ?? '';
  const image = textAt(container, 'image') ?? '';
  const errors = [...(name === '' ? [required(`${path}.name`)] : checkLabel(`${path}.name`, name))];
  if (image === '') errors.push(required(`${path}.image`));
  else if (image !== image.trim()) {
    errors.push(invalid(`${path}.image`, image, 'must not have leading or trailing whitespace'));
  }
  errors.push(...checkPorts(container, path), ...checkEnvironment(container, path));
  errors.push(...checkMounts(container, path, volumes), ...checkResources(container, path));
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    errors.push(...checkProbe(at(container, probe), `${path}.${probe}`));
  }
  for (const id of ['runAsUser', 'runAsGroup']) {
    const value = at(container, 'securityContext', id);
    errors.push(...checkRange(`${path}.securityContext.${id}`, value, [0, int32Max]));
  }
  return errors;
}

function checkPorts(container: Json, path: string): readonly FieldError[] {
  const seen = new Set<string>();
  return listAt(container, 'ports').flatMap((port, i) => {
    const place = `${path}.ports[${i}]`;
    const value = at(port, 'containerPort') ?? 0;
    const name = textAt(port, 'name') ?? '';
    const errors: FieldError[] = [];
    if (value === 0) errors.push(required(`${place}.containerPort`));
    else errors.push(...checkPort(`${place}.containerPort`, value));
    errors.push(...checkPort(`${place}.hostPort`, at(port, 'hostPort') || undefined));
    if (name !== '' && seen.has(name)) errors.push(duplicate(`${place}.name`, name));
    seen.add(name);
    return errors;
  });
}

function checkEnvironment(container: Json, path: string): readonly FieldError[] {
  return listAt(container, 'env').flatMap((variable, i) => {
    const place = `${path}.env[${i}]`;
    const name = textAt(variable, 'name') ?? '';
    const errors: FieldError[] = [];
    if (name === '') errors.push(required(`${place}.name`));
    else if (!/^[ -<>-~]+$/.test(name)) {
      const why =
        'a valid environment variable name must consist only of printable ASCII characters ' +
        "other than '='";
      errors.push(invalid(`${place}.name`, name, why));
    }
    const hasSource = isObject(at(variable, 'valueFrom'));
    if (hasSource && (textAt(variable, 'value') ?? '') !== '') {
      const why = 'may not be specified when `value` is not empty';
      errors.push(invalid(`${place}.valueFrom`, '', why));
    }
    return errors;
  });
}

function checkMounts(
  container: Json,
  path: string,
  volumes: ReadonlySet<string>,
): readonly FieldError[] {
  const seen = new Set<string>();
  const mounts = listAt(container, 'volumeMounts').flatMap((mount, i) => {
    const place = `${path}.volumeMounts[${i}]`;
    const target = textAt(mount, 'mountPath') ?? '';
    const errors = [...checkVolumeName(mount, place, volumes)];
    if (target === '') errors.push(required(`${place}.mountPath`));
    if (seen.has(target)) errors.push(invalid(`${place}.mountPath`, target, 'must be unique'));
    seen.add(target);
    return errors;
  });
  const devices = listAt(container, 'volumeDevices').flatMap((device, i) => {
    const place = `${path}.volumeDevices[${i}]`;
    const errors = [...checkVolumeName(device, place, volumes)];
    return [...errors, ...checkTexts(device, place, ['devicePath'])];
  });
  return [...mounts, ...devices];
}

function checkVolumeName(
  mount: Json,
  path: string,
  volumes: ReadonlySet<string>,
): readonly FieldError[] {
  const name = textAt(mount, 'name') ?? '';
  if (name === '') return [required(`${path}.name`)];
  return volumes.has(name) ? [] : [notFound(`${path}.name`, name)];
}

function checkResources(container: Json, path: string): readonly FieldError[] {
  const errors: FieldError[] = [];
  for (const kind of ['limits', 'requests']) {
    for (const [name, value] of Object.entries(at(container, 'resources', kind) ?? {})) {
      const quantity = parseQuantity(String(value));
      if (quantity === undefined || quantity.nanos >= 0n) continue;
      const field = `${path}.resources.${kind}[${name}]`;
      errors.push(invalid(field, String(value), 'must be greater than or equal to 0'));
    }
  }
  for (const [name, value] of Object.entries(at(container, 'resources', 'requests') ?? {})) {
    const limit = textAt(container, 'resources', 'limits', name);
    if (limit === undefined) continue;
    const [asked, most] = [parseQuantity(String(value)), parseQuantity(limit)];
    if (asked === undefined || most === undefined || asked.nanos <= most.nanos) continue;
    const why = `must be less than or equal to ${name} limit of ${limit}`;
    errors.push(invalid(`${path}.resources.requests`, String(value), why));
  }
  return errors;
}

function checkProbe(probe: Json | undefined, path: string): readonly FieldError[] {
  if (!isObject(probe)) return [];
  const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc'].filter((key) => isObject(probe[key]));
  const errors: FieldError[] = [];
  if (handlers.length === 0) errors.push(required(path, 'must specify a handler type'));
  for (const extra of handlers.slice(1)) {
    errors.push(forbidden(`${path}.${extra}`, 'may not specify more than 1 handler type'));
  }
  const counts = ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'failureThreshold'];
  return [...errors, ...checkCounts(probe, path, counts)];
}

const updateWords =
  'pod updates may not change fields other than `spec.containers[*].image`,' +
  '`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only ' +
  'additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set ' +
  'to 1 if it was previously negative)';

export function checkPod(pod: JsonObject, old: JsonObject | undefined): readonly FieldError[] {
  const errors = checkPodSpec(pod['spec'], { path: 'spec' });
  return old === undefined ? errors : [...errors, ...checkPodUpdate(pod, old)];
}

function checkPodUpdate(pod: JsonObject, old: JsonObject): readonly FieldError[] {
  const [spec, before] = [pod['spec'], old['spec']];
  if (!isObject(spec) || !isObject(before) || equal(spec, before)) return [];
  const errors: FieldError[] = [];
  const [deadline, earlier] = [spec['activeDeadlineSeconds'], before['activeDeadlineSeconds']];
  if (typeof earlier === 'number') {
    const field = 'spec.activeDeadlineSeconds';
    if (typeof deadline !== 'number') {
      errors.push(invalid(field, null, 'must not update from a positive integer to nil value'));
    } else if (deadline > earlier) {
      errors.push(invalid(field, deadline, 'must be less than or equal to previous value'));
    }
  }
  const kept = listAt(before, 'tolerations').every((toleration) =>
    listAt(spec, 'tolerations').some((now) => isSameToleration(now, toleration)),
  );
  if (!kept || !equal(fixedPart(spec, before), fixedPart(before, before))) {
    errors.push(forbidden('spec', updateWords));
  }
  return errors;
}

/** How long it is tolerated may change. */
function isSameToleration(a: Json, b: Json): boolean {
  const bare = (value: Json): Json =>
    isObject(value) ? without(value, 'tolerationSeconds') : value;
  return equal(bare(a), bare(b));
}

/** The spec without what may change. */
function fixedPart(spec: JsonObject, before: JsonObject): JsonObject {
  let out = spec;
  for (const list of ['containers', 'initContainers']) {
    out = editEach(out, list, (container) => without(container, 'image'));
  }
  const grace = before['terminationGracePeriodSeconds'];
  const isNegative = typeof grace === 'number' && grace < 0;
  const free = ['activeDeadlineSeconds', 'tolerations', 'ephemeralContainers'];
  // The scheduler's binding comes this way, and a gate may be taken away.
  if (before['nodeName'] === undefined) free.push('nodeName');
  free.push('schedulingGates', ...(isNegative ? ['terminationGracePeriodSeconds'] : []));
  return free.reduce(without, out);
}
