// Claims, volumes and storage classes.
import type { FieldError, Json, JsonObject } from '../api.ts';
import { forbidden, invalid, required, unsupported } from '../field-errors.ts';
import { at, equal, isObject, listAt, textAt, without } from '../json.ts';
import { compareQuantities, parseQuantity } from '../quantity.ts';
import { checkFixed, checkSubdomain, checkTexts, type Validate } from './checks.ts';
import { edit } from './edit.ts';

const modes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

/** `empty` says why there must be one. */
function checkModes(spec: Json | undefined, empty: string): readonly FieldError[] {
  const field = 'spec.accessModes';
  const given = listAt(spec, 'accessModes');
  if (given.length === 0) return [required(field, empty)];
  const unknown = given.filter((mode) => typeof mode !== 'string' || !modes.includes(mode));
  const errors = unknown.map((mode) => unsupported(field, mode, modes));
  if (given.length > 1 && given.includes('ReadWriteOncePod')) {
    const why = 'may not use ReadWriteOncePod with other access modes';
    errors.push(forbidden(field, why));
  }
  return errors;
}

function checkStorage(value: Json | undefined, field: string): readonly FieldError[] {
  if (value === undefined) return [required(field)];
  const quantity = parseQuantity(String(value));
  if (quantity === undefined || quantity.nanos > 0n) return [];
  return [invalid(field, value, 'must be greater than zero')];
}

const claimWords =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName ' +
  'for bound claims';

export const checkClaim: Validate = (object, old) => {
  const spec = object['spec'];
  const storage = at(spec, 'resources', 'requests', 'storage');
  const name = textAt(spec, 'storageClassName') ?? '';
  const errors = [
    ...checkModes(spec, 'at least 1 access mode is required'),
    ...checkStorage(storage, 'spec.resources[storage]'),
    ...(name === '' ? [] : checkSubdomain('spec.storageClassName', name)),
  ];
  return old === undefined ? errors : [...errors, ...checkClaimUpdate(object, old)];
};

/** A claim is bound once, gets its class once, and may ask for more once it is bound. */
function checkClaimUpdate(object: JsonObject, old: JsonObject): readonly FieldError[] {
  const [spec, before] = [object['spec'], old['spec']];
  if (!isObject(spec) || !isObject(before)) return [];
  const wasUnbound = (textAt(before, 'volumeName') ?? '') === '';
  const hadNoClass = before['storageClassName'] === undefined;
  const isBound = textAt(old, 'status', 'phase') === 'Bound';
  const fixed = (value: JsonObject): JsonObject => {
    let out = wasUnbound ? without(value, 'volumeName') : value;
    if (hadNoClass) out = without(out, 'storageClassName');
    if (!isBound) return out;
    const sized = edit(out, ['resources', 'requests'], (requests) => without(requests, 'storage'));
    return without(sized, 'volumeAttributesClassName');
  };
  if (!equal(fixed(spec), fixed(before))) {
    return [forbidden('spec', claimWords), ...checkMode(object, old)];
  }
  const [now, earlier] = [spec, before].map((one) =>
    textAt(one, 'resources', 'requests', 'storage'),
  );
  if (now === undefined || earlier === undefined || compareQuantities(now, earlier) >= 0) return [];
  const allocated = textAt(old, 'status', 'capacity', 'storage');
  // After a failed expansion a smaller one may be asked for, not one below what is there.
  if (allocated !== undefined && compareQuantities(now, allocated) > 0) return [];
  const why = 'field can not be less than status.capacity';
  return [forbidden('spec.resources.requests.storage', why)];
}

/** Fields of a volume's spec that are no source. */
const plain: ReadonlySet<string> = new Set(
  (
    'accessModes capacity claimRef mountOptions nodeAffinity persistentVolumeReclaimPolicy ' +
    'storageClassName volumeMode volumeAttributesClassName'
  ).split(' '),
);

const neededBySource: Readonly<Record<string, readonly string[]>> = {
  csi: ['driver', 'volumeHandle'],
  hostPath: ['path'],
  local: ['path'],
  nfs: ['server', 'path'],
};

function sourcesOf(spec: Json | undefined): readonly string[] {
  return isObject(spec) ? Object.keys(spec).filter((key) => !plain.has(key)) : [];
}

export const checkVolume: Validate = (object, old) => {
  const spec = object['spec'];
  const capacity = at(spec, 'capacity');
  const errors = [...checkModes(spec, '')];
  if (capacity === undefined) errors.push(required('spec.capacity'));
  const amounts = isObject(capacity) ? Object.keys(capacity) : [];
  if (amounts.length !== 1 || amounts[0] !== 'storage') {
    errors.push(unsupported('spec.capacity', capacity ?? null, ['storage']));
  } else {
    errors.push(...checkStorage(at(capacity, 'storage'), 'spec.capacity[storage]'));
  }
  const sources = sourcesOf(spec);
  const [source] = sources;
  if (source === undefined) errors.push(required('spec', 'must specify a volume type'));
  else errors.push(...checkTexts(at(spec, source), `spec.${source}`, neededBySource[source] ?? []));
  for (const extra of sources.slice(1)) {
    errors.push(forbidden(`spec.${extra}`, 'may not specify more than 1 volume type'));
  }
  return old === undefined ? errors : [...errors, ...checkVolumeUpdate(object, old)];
};

function checkVolumeUpdate(object: JsonObject, old: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  const part = (spec: Json | undefined): readonly Json[] =>
    sourcesOf(spec).map((key) => [key, at(spec, key) ?? null]);
  if (!equal(part(object['spec']), part(old['spec']))) {
    const field = 'spec.persistentvolumesource';
    errors.push(forbidden(field, 'spec.persistentvolumesource is immutable after creation'));
  }
  return [...errors, ...checkMode(object, old)];
}

function checkMode(object: JsonObject, old: JsonObject): readonly FieldError[] {
  const mode = at(object, 'spec', 'volumeMode');
  if (equal(mode, at(old, 'spec', 'volumeMode'))) return [];
  return [invalid('volumeMode', mode ?? null, 'field is immutable')];
}

const policies = ['Delete', 'Retain'];
const bindings = ['Immediate', 'WaitForFirstConsumer'];

export const checkStorageClass: Validate = (object, old) => {
  const errors = [...checkTexts(object, '', ['provisioner'])];
  const reclaim = textAt(object, 'reclaimPolicy') ?? 'Delete';
  const binding = textAt(object, 'volumeBindingMode') ?? 'Immediate';
  if (!policies.includes(reclaim)) errors.push(unsupported('reclaimPolicy', reclaim, policies));
  if (!bindings.includes(binding)) errors.push(unsupported('volumeBindingMode', binding, bindings));
  const fixed = [['parameters'], ['provisioner'], ['reclaimPolicy'], ['volumeBindingMode']];
  return [...errors, ...checkFixed(object, old, fixed)];
};

export const checkAttributesClass: Validate = (object, old) => {
  const errors = [...checkTexts(object, '', ['driverName'])];
  const parameters = object['parameters'];
  if (!isObject(parameters) || Object.keys(parameters).length === 0) {
    errors.push(required('parameters', 'must contain at least one key/value pair'));
  }
  if (old === undefined) return errors;
  for (const field of ['driverName', 'parameters']) {
    if (equal(object[field] ?? null, old[field] ?? null)) continue;
    errors.push(forbidden(field, `updates to ${field} are forbidden.`));
  }
  return errors;
};
