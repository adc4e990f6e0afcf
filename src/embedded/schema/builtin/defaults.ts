// Defaults of built-in kinds that depend on other fields, by definition of `data.json`.
import type { JsonObject } from '../api.ts';
import { at, isObject, listAt, own, textAt } from '../json.ts';
import { completePod, completePodSpec, podSpecPaths } from './defaults-pods.ts';
import { edit, editEach, withDefaults } from './edit.ts';

type Complete = (object: JsonObject) => JsonObject;

/** Undefined where constant defaults say all. */
export function completionOf(name: string): Complete | undefined {
  const own_ = Object.hasOwn(completions, name) ? completions[name] : undefined;
  const path = podSpecPaths[name];
  if (path === undefined) return own_;
  return (object) => {
    const done = edit(object, path, completePodSpec);
    return own_?.(done) ?? done;
  };
}

const completions: Readonly<Record<string, Complete>> = {
  'core.Pod': completePod,
  'core.Namespace': completeNamespace,
  'core.Secret': completeSecret,
  'core.Service': (object) => edit(object, ['spec'], completeService),
  'core.LimitRange': (object) =>
    edit(object, ['spec'], (spec) => editEach(spec, 'limits', completeLimit)),
  'apps.Deployment': (object) =>
    edit(object, ['spec', 'strategy'], (strategy) =>
      rolling(strategy, { maxUnavailable: '25%', maxSurge: '25%' }),
    ),
  'apps.StatefulSet': completeStatefulSet,
  'apps.DaemonSet': completeDaemonSet,
  'batch.Job': completeJob,
  'rbac.RoleBinding': (object) => editEach(object, 'subjects', completeSubject),
  'rbac.ClusterRoleBinding': (object) => editEach(object, 'subjects', completeSubject),
  'networking.NetworkPolicy': (object) =>
    edit(object, ['spec'], (spec) => {
      const isEgress = listAt(spec, 'egress').length > 0;
      return withDefaults(spec, { policyTypes: isEgress ? ['Ingress', 'Egress'] : ['Ingress'] });
    }),
};

function completeNamespace(object: JsonObject): JsonObject {
  const name = textAt(object, 'metadata', 'name');
  if (name === undefined) return object;
  return edit(object, ['metadata'], (metadata) => {
    const labels = metadata['labels'];
    const all = { ...(isObject(labels) ? labels : {}), 'kubernetes.io/metadata.name': name };
    return { ...metadata, labels: all };
  });
}

/** `stringData` is a way to write, not something to keep. */
function completeSecret(object: JsonObject): JsonObject {
  const { stringData, ...rest } = object;
  if (!isObject(stringData)) return object;
  const encoded = Object.entries(stringData).map(([key, value]) => {
    const text = typeof value === 'string' ? value : '';
    return [key, Buffer.from(text, 'utf8').toString('base64')] as const;
  });
  const data = own(rest, 'data');
  return { ...rest, data: { ...(isObject(data) ? data : {}), ...Object.fromEntries(encoded) } };
}

function completeService(spec: JsonObject): JsonObject {
  const type = textAt(spec, 'type');
  const out = editEach(spec, 'ports', (port) => withDefaults(port, { targetPort: port['port'] }));
  if (type === 'ExternalName') return out;
  const isExposed = type === 'NodePort' || type === 'LoadBalancer';
  const sticky = { clientIP: { timeoutSeconds: 10_800 } };
  return withDefaults(out, {
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: isExposed ? 'Cluster' : undefined,
    allocateLoadBalancerNodePorts: type === 'LoadBalancer' ? true : undefined,
    sessionAffinityConfig: textAt(spec, 'sessionAffinity') === 'ClientIP' ? sticky : undefined,
  });
}

function completeLimit(limit: JsonObject): JsonObject {
  if (textAt(limit, 'type') !== 'Container') return limit;
  const section = (key: string): JsonObject => {
    const value = own(limit, key);
    return isObject(value) ? value : {};
  };
  const limits = withDefaults(section('default'), section('max'));
  const requests = withDefaults(withDefaults(section('defaultRequest'), limits), section('min'));
  const filled = (part: JsonObject): JsonObject | undefined =>
    Object.keys(part).length === 0 ? undefined : part;
  const { default: _, defaultRequest: __, ...rest } = limit;
  return withDefaults(rest, { default: filled(limits), defaultRequest: filled(requests) });
}

function rolling(strategy: JsonObject, parameters: JsonObject): JsonObject {
  if (textAt(strategy, 'type') !== 'RollingUpdate') return strategy;
  const given = own(strategy, 'rollingUpdate');
  const rollingUpdate = withDefaults(isObject(given) ? given : {}, parameters);
  return rollingUpdate === given ? strategy : { ...strategy, rollingUpdate };
}

function completeStatefulSet(object: JsonObject): JsonObject {
  return edit(object, ['spec'], (spec) => {
    const filled = edit(spec, ['updateStrategy'], (strategy) =>
      rolling(strategy, { partition: 0 }),
    );
    return editEach(filled, 'volumeClaimTemplates', (claim) =>
      withDefaults(claim, { apiVersion: 'v1', kind: 'PersistentVolumeClaim' }),
    );
  });
}

function completeDaemonSet(object: JsonObject): JsonObject {
  const strategy = edit(object, ['spec', 'updateStrategy'], (inner) =>
    rolling(inner, { maxUnavailable: 1, maxSurge: 0 }),
  );
  const key = 'deprecated.daemonset.template.generation';
  const given = at(strategy, 'metadata', 'annotations');
  if (isObject(given) && Object.hasOwn(given, key)) return strategy;
  return edit(strategy, ['metadata'], (metadata) => {
    const annotations = { ...(isObject(given) ? given : {}), [key]: '1' };
    return { ...metadata, annotations };
  });
}

function completeJob(object: JsonObject): JsonObject {
  const filled = edit(object, ['spec'], (spec) => {
    const isOne = !Object.hasOwn(spec, 'parallelism') && !Object.hasOwn(spec, 'completions');
    const hasPolicy = isObject(spec['podFailurePolicy']);
    return withDefaults(spec, {
      completions: isOne ? 1 : undefined,
      parallelism: 1,
      manualSelector: false,
      backoffLimit: backoffLimit(spec),
      completionMode: 'NonIndexed',
      suspend: false,
      podReplacementPolicy: hasPolicy ? 'Failed' : 'TerminatingOrFailed',
    });
  });
  return selectOwnPods(filled);
}

function backoffLimit(spec: JsonObject): number {
  return Object.hasOwn(spec, 'backoffLimitPerIndex') ? 2_147_483_647 : 6;
}

/** A job that does not say which pods are its own gets those with its uid. */
function selectOwnPods(object: JsonObject): JsonObject {
  const [uid, name] = [textAt(object, 'metadata', 'uid'), textAt(object, 'metadata', 'name')];
  const spec = at(object, 'spec');
  if (uid === undefined || name === undefined || !isObject(spec)) return object;
  if (spec['manualSelector'] === true || isObject(spec['selector'])) return object;
  const labels = {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'job-name': name,
  };
  const labelled = edit(object, ['spec', 'template', 'metadata'], (metadata) => {
    const given = own(metadata, 'labels');
    return { ...metadata, labels: { ...(isObject(given) ? given : {}), ...labels } };
  });
  const matchLabels = { 'batch.kubernetes.io/controller-uid': uid };
  return edit(labelled, ['spec'], (inner) => ({ ...inner, selector: { matchLabels } }));
}

function completeSubject(subject: JsonObject): JsonObject {
  const isPerson = ['User', 'Group'].includes(textAt(subject, 'kind') ?? '');
  return isPerson ? withDefaults(subject, { apiGroup: 'rbac.authorization.k8s.io' }) : subject;
}
