/** Last changes and checks of an object before it is stored, by kind. */
import type { JsonObject } from '../schema/api.ts';
import { admitDefinition, definitionKind } from './definitions.ts';
import { isObject, objectAt, sameJson, textAt, withKeys } from './json.ts';
import { requireHeldRole, requireHeldRules } from './escalation.ts';
import type { Call } from './kernel.ts';
import { rbacGroup } from './rbac.ts';

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
  '/secrets': ({ object }) => sealedSecret(object),
};

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
