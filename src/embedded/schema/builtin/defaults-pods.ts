// Defaults of pods, and of the pod templates of other kinds, that depend on other fields.
import type { Json, JsonObject } from '../api.ts';
import { at, isObject, listAt, textAt } from '../json.ts';
import { compareQuantities } from '../quantity.ts';
import { edit, editEach, withDefaults } from './edit.ts';

/** Where kinds have their pods' spec. */
export const podSpecPaths: Readonly<Record<string, readonly string[]>> = {
  'core.Pod': ['spec'],
  'core.PodTemplate': ['template', 'spec'],
  'core.ReplicationController': ['spec', 'template', 'spec'],
  'apps.Deployment': ['spec', 'template', 'spec'],
  'apps.ReplicaSet': ['spec', 'template', 'spec'],
  'apps.StatefulSet': ['spec', 'template', 'spec'],
  'apps.DaemonSet': ['spec', 'template', 'spec'],
  'batch.Job': ['spec', 'template', 'spec'],
  'batch.CronJob': ['spec', 'jobTemplate', 'spec', 'template', 'spec'],
};

export const containerLists: readonly string[] = [
  'initContainers',
  'containers',
  'ephemeralContainers',
];

/** Of every pod spec, in templates too. */
export function completePodSpec(spec: JsonObject): JsonObject {
  let out = spec;
  for (const list of containerLists) {
    out = editEach(out, list, (container) => completeContainer(container, spec['hostNetwork']));
  }
  out = editEach(out, 'volumes', (volume) => {
    const isBare = Object.keys(volume).every((key) => key === 'name');
    return isBare ? { ...volume, emptyDir: {} } : volume;
  });
  // The older name of the same field is always there too.
  const account = textAt(out, 'serviceAccountName') ?? textAt(out, 'serviceAccount');
  if (account === undefined || account === '') return out;
  return withDefaults(out, { serviceAccountName: account, serviceAccount: account });
}

function completeContainer(container: JsonObject, hostNetwork: Json | undefined): JsonObject {
  const image = textAt(container, 'image') ?? '';
  const imagePullPolicy = isLatest(image) ? 'Always' : 'IfNotPresent';
  const out = withDefaults(container, { imagePullPolicy });
  if (hostNetwork !== true) return out;
  return editEach(out, 'ports', (port) => withDefaults(port, { hostPort: port['containerPort'] }));
}

function isLatest(image: string): boolean {
  if (image.includes('@')) return false;
  const name = image.slice(image.lastIndexOf('/') + 1);
  const colon = name.indexOf(':');
  return colon < 0 || name.slice(colon + 1) === 'latest';
}

/** Of pods alone. */
export function completePod(pod: JsonObject): JsonObject {
  const spec = edit(pod, ['spec'], (inner) => {
    let out = withDefaults(inner, { enableServiceLinks: true });
    for (const list of containerLists) {
      out = editEach(out, list, (container) => edit(container, ['resources'], requestLimits));
    }
    return out;
  });
  return edit(spec, ['status'], (status) => {
    const ip = textAt(status, 'podIP') ?? '';
    const podIPs = ip === '' ? undefined : [{ ip }];
    return withDefaults(status, { qosClass: qosClass(spec), podIPs });
  });
}

/** What is limited and not requested is requested as it is limited. */
function requestLimits(resources: JsonObject): JsonObject {
  const limits = resources['limits'];
  if (!isObject(limits)) return resources;
  const requests = resources['requests'];
  const filled = withDefaults(isObject(requests) ? requests : {}, limits);
  return filled === requests ? resources : { ...resources, requests: filled };
}

function qosClass(pod: JsonObject): string {
  const containers = ['initContainers', 'containers'].flatMap((list) => listAt(pod, 'spec', list));
  const amounts = containers.flatMap((container) =>
    ['cpu', 'memory'].map((name) => ({
      request: amount(container, 'requests', name),
      limit: amount(container, 'limits', name),
    })),
  );
  if (amounts.every(({ request, limit }) => request === undefined && limit === undefined)) {
    return 'BestEffort';
  }
  const isGuaranteed = amounts.every(
    ({ request, limit }) =>
      limit !== undefined && request !== undefined && compareQuantities(request, limit) === 0,
  );
  return isGuaranteed ? 'Guaranteed' : 'Burstable';
}

function amount(container: Json, kind: string, name: string): string | undefined {
  const text = textAt(at(container, 'resources', kind, name));
  return text === undefined || text === '0' ? undefined : text;
}
