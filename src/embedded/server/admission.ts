/** Last changes and checks of an object before it is stored, by kind. */
import type { JsonObject } from '../schema/api.ts';
import { admitDefinition, definitionKind } from './definitions.ts';
import {
  isObject,
  metaOf,
  nameOf,
  objectAt,
  sameJson,
  textAt,
  textsAt,
  withKeys,
  withMeta,
} from './json.ts';
import { requireHeldRole, requireHeldRules } from './escalation.ts';
import { type Call, timeText } from './kernel.ts';
import { forbiddenValue, requiredValue } from './metadata.ts';
import { admitPod } from './pod-admission.ts';
import { countedQuota, requireQuota } from './quota.ts';
import { rbacGroup } from './rbac.ts';
import { admitService } from './service-admission.ts';
import { invalid } from './status.ts';
import { defaultAudience } from './tokens.ts';

export interface Admission {
  readonly call: Call;
  readonly object: JsonObject;
  /** Undefined: it is new. */
  readonly live: JsonObject | undefined;
  readonly dryRun: boolean;
}

/** The object as it is stored. Throws a `StatusError` when it may not be. */
export function admit(admission: Admission): JsonObject {
  const { served } = admission.call.resource;
  if (!served.builtIn) return admission.object;
  const name = `${served.group}/${served.plural}`;
  const rule = rules[name];
  return rule === undefined ? admission.object : rule(admission);
}

const rules: Readonly<Record<string, (admission: Admission) => JsonObject>> = {
  [definitionKind]: ({ call, object, live }) => admitDefinition(call, object, live),
  [`${rbacGroup}/clusterroles`]: ({ call, object, live }) => admitRole(call, object, live),
  [`${rbacGroup}/roles`]: ({ call, object, live }) => admitRole(call, object, live),
  [`${rbacGroup}/clusterrolebindings`]: ({ call, object }) => admitBinding(call, object),
  [`${rbacGroup}/rolebindings`]: ({ call, object }) => admitBinding(call, object),
  '/persistentvolumeclaims': ({ call, object, live }) =>
    live === undefined ? guarded(classedClaim(call, object), claimFinalizer) : object,
  '/persistentvolumes': ({ call, object, live }) =>
    phased(call, live === undefined ? guarded(object, volumeFinalizer) : object, live),
  '/pods': ({ call, object, live }) => (live === undefined ? newPod(call, object) : object),
  '/resourcequotas': ({ call, object }) =>
    call.target.subresource === '' ? countedQuota(call, object) : object,
  'storage.k8s.io/storageclasses': ({ call, object, live }) => fixedClass(call, object, live),
  '/services': ({ call, object, live }) => admitService(call, object, live),
  '/secrets': (admission) => tokenSecret(admission, sealedSecret(admission.object)),
};

function newPod(call: Call, object: JsonObject): JsonObject {
  const pod = admitPod(call, object);
  requireQuota(call, pod);
  return pod;
}

/** `stringData` is for writing only: it becomes `data`. */
function sealedSecret(object: JsonObject): JsonObject {
  const given = object['stringData'];
  const type = textAt(object, 'type') === '' ? 'Opaque' : textAt(object, 'type');
  if (!isObject(given)) return { ...object, type };
  const coded = Object.entries(given).map(([key, value]) => {
    return [key, Buffer.from(String(value)).toString('base64')] as const;
  });
  const data = { ...objectAt(object, 'data'), ...Object.fromEntries(coded) };
  return withKeys(object, { stringData: undefined, data, type });
}

function admitRole(call: Call, object: JsonObject, live: JsonObject | undefined): JsonObject {
  const isSame =
    live !== undefined &&
    sameJson(object['rules'], live['rules']) &&
    sameJson(object['aggregationRule'], live['aggregationRule']);
  if (!isSame) requireHeldRules(call, object);
  return object;
}

function admitBinding(call: Call, object: JsonObject): JsonObject {
  requireHeldRole(call, object);
  return object;
}

const claimFinalizer = 'kubernetes.io/pvc-protection';
const volumeFinalizer = 'kubernetes.io/pv-protection';

/** With a finalizer that a controller takes away when nobody uses the object. */
function guarded(object: JsonObject, finalizer: string): JsonObject {
  const own = textsAt(metaOf(object), 'finalizers');
  return own.includes(finalizer) ? object : withMeta(object, { finalizers: [...own, finalizer] });
}

/** A volume knows since when it is what it is. */
function phased(call: Call, object: JsonObject, live: JsonObject | undefined): JsonObject {
  const status = objectAt(object, 'status');
  const isSame = live !== undefined && objectAt(live, 'status')['phase'] === status['phase'];
  if (isSame || 'lastPhaseTransitionTime' in status) return object;
  const lastPhaseTransitionTime = timeText(call.kernel.clock);
  return { ...object, status: { ...status, lastPhaseTransitionTime } };
}

const defaultClass = 'storageclass.kubernetes.io/is-default-class';

/** A claim that names no class gets the default one, the newest if there are several. */
function classedClaim({ kernel }: Call, object: JsonObject): JsonObject {
  const spec = objectAt(object, 'spec');
  if ('storageClassName' in spec || textAt(spec, 'volumeName') !== '') return object;
  const classes = [...kernel.store.list({ prefix: '/storage.k8s.io/storageclasses/' })]
    .map((entry) => kernel.store.read(entry))
    .filter((one) => textAt(objectAt(metaOf(one), 'annotations'), defaultClass) === 'true')
    .toSorted((a, b) => (createdAt(a) < createdAt(b) ? 1 : -1));
  const [chosen] = classes;
  if (chosen === undefined) return object;
  return { ...object, spec: { ...spec, storageClassName: nameOf(chosen) } };
}

function createdAt(object: JsonObject): string {
  return textAt(metaOf(object), 'creationTimestamp');
}

const tokenType = 'kubernetes.io/service-account-token';
const accountName = 'kubernetes.io/service-account.name';
const accountUid = 'kubernetes.io/service-account.uid';

/** A secret that asks for a token of its account gets one; it lasts as long as the secret. */
function tokenSecret({ call, dryRun }: Admission, object: JsonObject): JsonObject {
  if (textAt(object, 'type') !== tokenType) return object;
  const meta = metaOf(object);
  const annotations = objectAt(meta, 'annotations');
  const account = textAt(annotations, accountName);
  const { kernel, resource, target } = call;
  if (account === '') {
    const field = `metadata.annotations[${accountName}]`;
    throw invalid(resource.served, nameOf(object), [requiredValue(field, '')]);
  }
  const { namespace } = target;
  const found = kernel.store.getObject(`//serviceaccounts/${namespace}/${account}`);
  const data = objectAt(object, 'data');
  if (found === undefined || dryRun || 'token' in data) return object;
  const uid = textAt(metaOf(found), 'uid');
  const token = kernel.tokens.issue({
    namespace,
    account,
    uid,
    audiences: [defaultAudience],
    expiresAtMs: undefined,
    bound: { kind: 'Secret', name: nameOf(object), uid: textAt(meta, 'uid') },
  });
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return {
    ...withMeta(object, { annotations: { ...annotations, [accountUid]: uid } }),
    data: { ...data, token: base64(token), namespace: base64(namespace) },
  };
}

/** What a class means for the volumes that exist cannot change. */
function fixedClass(call: Call, object: JsonObject, live: JsonObject | undefined): JsonObject {
  if (live === undefined) return object;
  const errors = ['parameters', 'provisioner', 'reclaimPolicy']
    .filter((key) => !sameJson(object[key], live[key]))
    .map((key) => forbiddenValue(key, `updates to ${key} are forbidden.`));
  if (errors.length > 0) throw invalid(call.resource.served, nameOf(object), errors);
  return object;
}
