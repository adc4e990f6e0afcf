/** Fields of single kinds that clusters fill in for themselves. */
import type { KubeObject } from '../kube/objects.ts';
import { isGeneratedSecretName } from './exclusions.ts';
import {
  changeAt,
  each,
  type FieldPath,
  fieldsAt,
  fieldsListAt,
  listAt,
  textAt,
  valueAt,
  withoutAt,
  withoutEmpty,
} from './fields.ts';
import { groupOf } from './names.ts';
import type { Step } from './transform-context.ts';

const tokenPath = '/var/run/secrets/kubernetes.io/serviceaccount';

function withoutAll<T extends KubeObject>(object: T, ...paths: readonly FieldPath[]): T {
  return paths.reduce(withoutAt, object);
}

const stripService: Step = ({ object, note }, { keep = {} }) => {
  let out = object;
  const ip = textAt(object, 'spec', 'clusterIP');
  if (ip !== undefined && ip !== 'None' && keep.clusterIps !== true) {
    out = withoutAll(out, ['spec', 'clusterIP'], ['spec', 'clusterIPs']);
    note('Stripped', 'spec.clusterIP', `${ip} is of the source; the destination gives another`);
  }
  if (textAt(object, 'spec', 'ipFamilyPolicy') === 'SingleStack' && keep.clusterIps !== true) {
    // Filled in by the source after its own network.
    out = withoutAll(out, ['spec', 'ipFamilies'], ['spec', 'ipFamilyPolicy']);
  }
  if (keep.nodePorts !== true) {
    out = withoutAt(out, ['spec', 'healthCheckNodePort']);
    out = changeAt(out, ['spec', 'ports', each, 'nodePort'], (port) => {
      const remedy = 'Keep node ports if clients outside the cluster use this one.';
      note('Lost', 'spec.ports', `node port ${port} is given anew by the destination`, remedy);
      return undefined;
    });
  }
  for (const field of ['loadBalancerIP', 'externalIPs']) {
    if (valueAt(out, ['spec', field]) === undefined) continue;
    const remedy = 'Change it with a rule of your own if the address is not to move along.';
    note('Warning', `spec.${field}`, 'an address outside the cluster is kept', remedy);
  }
  return out;
};

const stripClaim: Step = ({ object, note }) => {
  if (valueAt(object, ['spec', 'selector']) !== undefined) {
    const message = 'the selector of volumes is not copied: volumes are made for the claim';
    note('Lost', 'spec.selector', message);
  }
  const source = fieldsAt(object, 'spec', 'dataSourceRef');
  const from = textAt(source, 'name') ?? textAt(object, 'spec', 'dataSource', 'name');
  if (from !== undefined) {
    note('Stripped', 'spec.dataSourceRef', `it began as ${from}; its data comes along instead`);
  }
  return withoutAll(
    object,
    ['spec', 'volumeName'],
    ['spec', 'selector'],
    ['spec', 'dataSource'],
    ['spec', 'dataSourceRef'],
  );
};

const stripVolume: Step = ({ object }) =>
  withoutAll(
    object,
    ['spec', 'claimRef', 'uid'],
    ['spec', 'claimRef', 'resourceVersion'],
    ['spec', 'claimRef', 'apiVersion'],
  );

/** Volumes through which the source gave the pod its token. */
function tokenVolumes(object: KubeObject): ReadonlySet<string> {
  const mounted = fieldsListAt(object, 'spec', 'containers')
    .flatMap((container) => fieldsListAt(container, 'volumeMounts'))
    .filter((mount) => mount['mountPath'] === tokenPath)
    .map((mount) => textAt(mount, 'name') ?? '');
  const isToken = (name: string): boolean =>
    name.startsWith('kube-api-access-') || isGeneratedSecretName(name);
  return new Set(mounted.filter(isToken));
}

const stripPod: Step = ({ object, note }) => {
  const tokens = tokenVolumes(object);
  const hasName = (one: unknown): boolean => tokens.has(textAt(one, 'name') ?? '');
  let out = changeAt(object, ['spec', 'volumes', each], (one) => (hasName(one) ? undefined : one));
  for (const list of ['initContainers', 'containers']) {
    const path = ['spec', list, each, 'volumeMounts'];
    out = changeAt(out, [...path, each], (one) => (hasName(one) ? undefined : one));
    out = withoutEmpty(out, path);
  }
  out = withoutEmpty(out, ['spec', 'volumes']);
  if (listAt(out, 'spec', 'ephemeralContainers').length > 0) {
    note('Lost', 'spec.ephemeralContainers', 'containers added for debugging are not copied');
  }
  const node = textAt(out, 'spec', 'nodeName');
  if (node !== undefined) note('Stripped', 'spec.nodeName', `node ${node} is of the source`);
  if (valueAt(out, ['spec', 'priorityClassName']) !== undefined) {
    out = withoutAt(out, ['spec', 'preemptionPolicy']);
  }
  return withoutAll(
    out,
    ['spec', 'nodeName'],
    ['spec', 'serviceAccount'],
    ['spec', 'priority'],
    ['spec', 'ephemeralContainers'],
  );
};

const jobLabels: readonly string[] = [
  'controller-uid',
  'job-name',
  'batch.kubernetes.io/controller-uid',
  'batch.kubernetes.io/job-name',
];

const stripJob: Step = ({ object }) => {
  if (valueAt(object, ['spec', 'manualSelector']) === true) return object;
  const labels: readonly FieldPath[] = [
    ['metadata', 'labels'],
    ['spec', 'template', 'metadata', 'labels'],
  ];
  let out = withoutAt(object, ['spec', 'selector']);
  for (const path of labels) {
    out = withoutAll(out, ...jobLabels.map((name) => [...path, name]));
    out = withoutEmpty(out, path);
  }
  return withoutEmpty(out, ['spec', 'template', 'metadata']);
};

const stripAccount: Step = ({ object }) => {
  let out: KubeObject = object;
  for (const list of ['secrets', 'imagePullSecrets']) {
    out = changeAt(out, [list, each], (one) =>
      isGeneratedSecretName(textAt(one, 'name') ?? '') ? undefined : one,
    );
    out = withoutEmpty(out, [list]);
  }
  return out;
};

const stripNamespace: Step = ({ object }) =>
  withoutEmpty(
    withoutAll(object, ['spec'], ['metadata', 'labels', 'kubernetes.io/metadata.name']),
    ['metadata', 'labels'],
  );

const stripRoute: Step = ({ object, note }) => {
  const generated = 'openshift.io/host.generated';
  if (object.metadata.annotations?.[generated] !== 'true') return object;
  const message = 'the host was made from the source cluster; the destination makes its own';
  note('Lost', 'spec.host', message, 'Tell clients of the route its new host.');
  return withoutEmpty(
    withoutAll(object, ['spec', 'host'], ['metadata', 'annotations', generated]),
    ['metadata', 'annotations'],
  );
};

/**
 * Rights are copied for accounts that move, and for nobody else: an account of the same name there
 * is somebody else's.
 */
const stripClusterBinding: Step = ({ object, note }, { namespaces }) => {
  const moving = new Set([...Object.keys(namespaces), ...Object.values(namespaces)]);
  return changeAt(object, ['subjects', each], (subject) => {
    const namespace = textAt(subject, 'namespace');
    if (textAt(subject, 'kind') !== 'ServiceAccount' || namespace === undefined) return subject;
    if (moving.has(namespace)) return subject;
    const name = textAt(subject, 'name') ?? '';
    const message = `service account ${namespace}/${name} does not move, so it gets no rights`;
    note('Lost', 'subjects', message, 'Bind it at the destination if it shall have them there.');
    return undefined;
  });
};

const warnOfBinding: Step = ({ object, note }, { namespaces }) => {
  const moving = new Set([
    ...Object.keys(namespaces),
    ...Object.values(namespaces),
    object.metadata.namespace,
  ]);
  for (const subject of fieldsListAt(object, 'subjects')) {
    const namespace = textAt(subject, 'namespace');
    if (namespace === undefined || moving.has(namespace)) continue;
    const message = `it gives rights to an account of namespace ${namespace}, which does not move`;
    note('Warning', 'subjects', message, 'Check who that is at the destination.');
  }
  return object;
};

const stripSet: Step = ({ object }) =>
  withoutAll(changeAt(object, ['spec', 'volumeClaimTemplates', each, 'status'], () => undefined));

const steps: Readonly<Record<string, Step>> = {
  '/Service': stripService,
  '/PersistentVolumeClaim': stripClaim,
  '/PersistentVolume': stripVolume,
  '/Pod': stripPod,
  '/ServiceAccount': stripAccount,
  '/Namespace': stripNamespace,
  'apps/StatefulSet': stripSet,
  'batch/Job': stripJob,
  'rbac.authorization.k8s.io/ClusterRoleBinding': stripClusterBinding,
  'rbac.authorization.k8s.io/RoleBinding': warnOfBinding,
  'route.openshift.io/Route': stripRoute,
};

export const stripKind: Step = (draft, context) => {
  const { apiVersion, kind } = draft.object;
  const step = steps[`${groupOf(apiVersion)}/${kind}`];
  return step === undefined ? draft.object : step(draft, context);
};
