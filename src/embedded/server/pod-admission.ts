/** What a real cluster's admission adds to pods: account, token, priority, tolerations. */
import type { Json, JsonObject } from '../schema/api.ts';
import { metaOf, objectAt, objectsAt, textAt, withKeys } from './json.ts';
import type { Call } from './kernel.ts';
import { randomSuffix } from './metadata.ts';

const tokenPath = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Kubelets renew it before that. */
const tokenSeconds = 3607;
const notReady = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'] as const;

export function admitPod(call: Call, pod: JsonObject): JsonObject {
  const spec = objectAt(pod, 'spec');
  const account = textAt(spec, 'serviceAccountName') || 'default';
  const named = withKeys(spec, {
    serviceAccountName: account,
    serviceAccount: account,
    priority: spec['priority'] ?? 0,
    preemptionPolicy: spec['preemptionPolicy'] ?? 'PreemptLowerPriority',
    tolerations: tolerationsOf(spec, call.kernel.tolerationSeconds),
  });
  return { ...pod, spec: wantsToken(call, pod, account) ? withToken(call, named) : named };
}

/** Pods stay for a while on a node that is not heard of, unless they say otherwise. */
function tolerationsOf(spec: JsonObject, tolerationSeconds: number): readonly Json[] {
  const own = objectsAt(spec, 'tolerations');
  const missing = notReady.filter((key) => !own.some((one) => covers(one, key)));
  return [
    ...own,
    ...missing.map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds })),
  ];
}

function covers(toleration: JsonObject, key: string): boolean {
  const effect = textAt(toleration, 'effect');
  const own = textAt(toleration, 'key');
  return (own === '' || own === key) && (effect === '' || effect === 'NoExecute');
}

/** Where there is such an account, and neither it nor the pod is against it. */
function wantsToken({ kernel, target }: Call, pod: JsonObject, account: string): boolean {
  const found = kernel.store.getObject(`//serviceaccounts/${target.namespace}/${account}`);
  if (found === undefined) return false;
  // Mirrors of what a kubelet runs by itself have no token.
  if ('kubernetes.io/config.mirror' in objectAt(metaOf(pod), 'annotations')) return false;
  const own = objectAt(pod, 'spec')['automountServiceAccountToken'];
  return (own ?? found['automountServiceAccountToken']) !== false;
}

function withToken(call: Call, spec: JsonObject): JsonObject {
  const name = `kube-api-access-${randomSuffix(call.kernel.random)}`;
  const containers = (key: string): Json | undefined =>
    key in spec ? objectsAt(spec, key).map((one) => mounted(one, name)) : undefined;
  const needed = [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')];
  if (needed.every(hasOwnMount)) return spec;
  return withKeys(spec, {
    volumes: [...objectsAt(spec, 'volumes'), tokenVolume(name)],
    containers: containers('containers'),
    initContainers: containers('initContainers'),
  });
}

function hasOwnMount(container: JsonObject): boolean {
  return objectsAt(container, 'volumeMounts').some((one) => one['mountPath'] === tokenPath);
}

function mounted(container: JsonObject, name: string): JsonObject {
  if (hasOwnMount(container)) return container;
  const mounts = objectsAt(container, 'volumeMounts');
  return {
    ...container,
    volumeMounts: [...mounts, { name, readOnly: true, mountPath: tokenPath }],
  };
}

function tokenVolume(name: string): JsonObject {
  const namespace = { apiVersion: 'v1', fieldPath: 'metadata.namespace' };
  return {
    name,
    projected: {
      defaultMode: 420,
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef: namespace }] } },
      ],
    },
  };
}
