// Services, secrets, config maps, rights and the rest.
import type { FieldError, Json, JsonObject } from '../api.ts';
import { isIP } from '../addresses.ts';
import { duplicate, forbidden, invalid, required, unsupported } from '../field-errors.ts';
import { at, equal, isObject, listAt, textAt } from '../json.ts';
import {
  checkConfigKeys,
  checkFixed,
  checkImmutable,
  checkPort,
  checkTexts,
  type Validate,
} from './checks.ts';

export const checkService: Validate = (object, old) => {
  const spec = object['spec'];
  const type = textAt(spec, 'type') ?? 'ClusterIP';
  const address = textAt(spec, 'clusterIP') ?? '';
  const isHeadless = address === 'None';
  if (type === 'ExternalName') return checkTexts(spec, 'spec', ['externalName']);
  const ports = listAt(spec, 'ports');
  const errors: FieldError[] = [];
  if (ports.length === 0 && !isHeadless) errors.push(required('spec.ports'));
  if (address !== '' && !isHeadless && isIP(address) === 0) {
    const why = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
    errors.push(invalid('spec.clusterIPs[0]', address, why));
  }
  return [...errors, ...checkServicePorts(ports), ...checkAddress(object, old)];
};

/** A service keeps its address for as long as it has one. */
function checkAddress(object: JsonObject, old: JsonObject | undefined): readonly FieldError[] {
  const [now, before] = [object, old].map((one) => textAt(one, 'spec', 'clusterIP') ?? '');
  const hadOne = textAt(old, 'spec', 'type') !== 'ExternalName' && (before ?? '') !== '';
  if (!hadOne || now === before) return [];
  return [invalid('spec.clusterIPs[0]', [now ?? ''], 'may not change once set')];
}

function checkServicePorts(ports: readonly Json[]): readonly FieldError[] {
  const names = new Set<string>();
  const numbers = new Set<string>();
  return ports.flatMap((port, i) => {
    const path = `spec.ports[${i}]`;
    const name = textAt(port, 'name') ?? '';
    const number = `${textAt(port, 'protocol') ?? 'TCP'} ${String(at(port, 'port'))}`;
    const target = at(port, 'targetPort');
    const errors: FieldError[] = [];
    if (name === '' && ports.length > 1) errors.push(required(`${path}.name`));
    if (name !== '' && names.has(name)) errors.push(duplicate(`${path}.name`, name));
    errors.push(...checkPort(`${path}.port`, at(port, 'port') ?? 0));
    errors.push(...checkPort(`${path}.targetPort`, target));
    if (typeof target === 'string') errors.push(...checkPortName(`${path}.targetPort`, target));
    if (numbers.has(number)) errors.push(duplicate(path, port));
    names.add(name);
    numbers.add(number);
    return errors;
  });
}

function checkPortName(field: string, name: string): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (!/^[-a-z0-9]+$/i.test(name)) {
    const why = 'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)';
    errors.push(invalid(field, name, why));
  }
  if (!/[a-z]/.test(name)) {
    errors.push(invalid(field, name, 'must contain at least one letter (a-z)'));
  }
  return errors;
}

export const checkConfigMap: Validate = (object, old) => {
  const both = Object.keys(at(object, 'data') ?? {}).filter(
    (key) => at(object, 'binaryData', key) !== undefined,
  );
  return [
    ...checkConfigKeys(object, 'data'),
    ...checkConfigKeys(object, 'binaryData'),
    ...both.map((key) => invalid(`data[${key}]`, key, 'duplicate of key present in binaryData')),
    ...checkImmutable(object, old, ['data', 'binaryData']),
  ];
};

/** Keys that secrets of a type must have. */
const secretKeys: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/dockercfg': ['.dockercfg'],
};

export const checkSecret: Validate = (object, old) => {
  const type = textAt(object, 'type') ?? '';
  const has = (key: string): boolean => at(object, 'data', key) !== undefined;
  const missing = (secretKeys[type] ?? []).filter((key) => !has(key));
  if (type === 'kubernetes.io/basic-auth' && !has('username') && !has('password')) {
    missing.push('username', 'password');
  }
  const errors = [
    ...checkConfigKeys(object, 'data'),
    ...missing.map((key) => required(`data[${key}]`)),
  ];
  const account = 'kubernetes.io/service-account.name';
  const isToken = type === 'kubernetes.io/service-account-token';
  if (isToken && (textAt(object, 'metadata', 'annotations', account) ?? '') === '') {
    errors.push(required(`metadata.annotations[${account}]`));
  }
  return [
    ...errors,
    ...checkFixed(object, old, [['type']]),
    ...checkImmutable(object, old, ['data']),
  ];
};

export function checkRules(isNamespaced: boolean): Validate {
  return (object) =>
    listAt(object, 'rules').flatMap((rule, i) => checkRule(rule, `rules[${i}]`, isNamespaced));
}

function checkRule(rule: Json, path: string, isNamespaced: boolean): readonly FieldError[] {
  const errors: FieldError[] = [];
  const urls = listAt(rule, 'nonResourceURLs');
  if (listAt(rule, 'verbs').length === 0) {
    errors.push(required(`${path}.verbs`, 'verbs must contain at least one value'));
  }
  if (urls.length > 0) {
    const why = 'namespaced rules cannot apply to non-resource URLs';
    if (isNamespaced) errors.push(invalid(`${path}.nonResourceURLs`, urls, why));
    const isMixed = listAt(rule, 'apiGroups').length > 0 || listAt(rule, 'resources').length > 0;
    const mixed = 'rules cannot apply to both regular resources and non-resource URLs';
    if (isMixed) errors.push(invalid(`${path}.nonResourceURLs`, urls, mixed));
    return errors;
  }
  if (listAt(rule, 'apiGroups').length === 0) {
    const why = 'resource rules must supply at least one api group';
    errors.push(required(`${path}.apiGroups`, why));
  }
  if (listAt(rule, 'resources').length === 0) {
    errors.push(required(`${path}.resources`, 'resource rules must supply at least one resource'));
  }
  return errors;
}

const subjectKinds = ['ServiceAccount', 'User', 'Group'];

export function checkBinding(roles: readonly string[]): Validate {
  return (object, old) => {
    const errors: FieldError[] = [];
    const role = object['roleRef'];
    const kind = textAt(role, 'kind') ?? '';
    if (!roles.includes(kind)) errors.push(unsupported('roleRef.kind', kind, roles));
    errors.push(...checkTexts(role, 'roleRef', ['name']));
    listAt(object, 'subjects').forEach((subject, i) => {
      const path = `subjects[${i}]`;
      const who = textAt(subject, 'kind') ?? '';
      errors.push(...checkTexts(subject, path, ['name']));
      if (!subjectKinds.includes(who)) {
        errors.push(unsupported(`${path}.kind`, who, subjectKinds));
      } else if (who === 'ServiceAccount' && roles.length === 1) {
        errors.push(...checkTexts(subject, path, ['namespace']));
      }
    });
    if (old !== undefined && !equal(role, old['roleRef'])) {
      // With the fields' names in Go, which servers show here.
      const [APIGroup, Kind, Name] = ['apiGroup', 'kind', 'name'].map(
        (key) => textAt(role, key) ?? '',
      );
      const shown = { APIGroup, Kind, Name } as JsonObject;
      errors.push(invalid('roleRef', shown, 'cannot change roleRef'));
    }
    return errors;
  };
}

export const checkLease: Validate = (object) => {
  const seconds = at(object, 'spec', 'leaseDurationSeconds');
  if (typeof seconds !== 'number' || seconds > 0) return [];
  return [invalid('spec.leaseDurationSeconds', seconds, 'must be greater than 0')];
};

export const checkBudget: Validate = (object) => {
  const spec = object['spec'];
  const isBoth = ['minAvailable', 'maxUnavailable'].every((key) => at(spec, key) !== undefined);
  const why = 'minAvailable and maxUnavailable cannot be both set';
  return isBoth ? [invalid('spec', spec ?? null, why)] : [];
};

const userPriorityMax = 1_000_000_000;

export const checkPriorityClass: Validate = (object, old) => {
  const value = at(object, 'value');
  const isSystem = (textAt(object, 'metadata', 'name') ?? '').startsWith('system-');
  const errors: FieldError[] = [];
  if (!isSystem && typeof value === 'number' && value > userPriorityMax) {
    const why = `maximum allowed value of a user defined priority is ${userPriorityMax}`;
    errors.push(forbidden('value', why));
  }
  for (const key of old === undefined ? [] : ['value', 'preemptionPolicy']) {
    if (equal(at(object, key), at(old, key))) continue;
    errors.push(forbidden(key, 'may not be changed in an update.'));
  }
  return errors;
};

export const checkIngress: Validate = (object) => {
  const spec = object['spec'];
  if (isObject(at(spec, 'defaultBackend')) || listAt(spec, 'rules').length > 0) return [];
  const why = 'either `defaultBackend` or `rules` must be specified';
  return [invalid('spec', null, why)];
};

/** A scaler needs something to scale and a limit. */
export const checkAutoscaler: Validate = (object: JsonObject) => {
  const spec = object['spec'];
  const max = at(spec, 'maxReplicas');
  const min = at(spec, 'minReplicas');
  const errors = [
    ...checkTexts(at(spec, 'scaleTargetRef'), 'spec.scaleTargetRef', ['kind', 'name']),
  ];
  if (typeof max === 'number' && max < 1) {
    errors.push(invalid('spec.maxReplicas', max, 'must be greater than 0'));
  }
  if (typeof max === 'number' && typeof min === 'number' && max < min) {
    const why = 'must be greater than or equal to `minReplicas`';
    errors.push(invalid('spec.maxReplicas', max, why));
  }
  return errors;
};
