/** Rules for `metadata` that hold for every kind (Kubernetes API conventions, "Metadata"). */
import type { Random } from '../../base/ports.ts';
import type { FieldError, Json, JsonObject, ServedResource } from '../schema/api.ts';
import { metaOf, objectAt, objectsAt, textAt, textsAt, withKeys } from './json.ts';
import { isLabelKey, isLabelValue } from './selector.ts';

const labelPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomainPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const subdomainMax = 253;
const labelMax = 63;
/** All keys and values of the annotations of one object. */
const annotationBytesMax = 256 * 1024;
/** Letters and digits that make no words and look like no others. */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const suffixLength = 5;

const subdomainText =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or " +
  "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used " +
  "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const labelText =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and " +
  "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex " +
  "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const valueText =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or " +
  "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  " +
  "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const keyText =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end " +
  "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for " +
  "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

export function invalidValue(field: string, value: unknown, why: string): FieldError {
  const message = `Invalid value: ${JSON.stringify(value)}: ${why}`;
  return { reason: 'FieldValueInvalid', field, message };
}

export function requiredValue(field: string, why: string): FieldError {
  return { reason: 'FieldValueRequired', field, message: `Required value: ${why}` };
}

export function forbiddenValue(field: string, why: string): FieldError {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${why}` };
}

/** `generateName` with a random ending, cut so that it stays a name. */
export function generatedName(prefix: string, random: Random): string {
  return prefix.slice(0, labelMax - suffixLength) + randomSuffix(random);
}

export function randomSuffix(random: Random): string {
  const letters = [...random.bytes(suffixLength)].map(
    (byte) => suffixAlphabet[byte % suffixAlphabet.length],
  );
  return letters.join('');
}

export function metadataErrors(object: JsonObject, resource: ServedResource): FieldError[] {
  const meta = metaOf(object);
  return [
    ...nameErrors(textAt(meta, 'name'), resource),
    ...labelErrors(meta),
    ...annotationErrors(meta),
    ...finalizerErrors(meta),
    ...ownerErrors(meta),
  ];
}

const labelNamed: ReadonlySet<string> = new Set(['/namespaces', '/services']);

function nameErrors(name: string, resource: ServedResource): FieldError[] {
  const field = 'metadata.name';
  if (name === '') return [requiredValue(field, 'name or generateName is required')];
  if (resource.builtIn && resource.group === 'rbac.authorization.k8s.io') {
    if (name !== '.' && name !== '..' && !/[/%]/.test(name)) return [];
    return [invalidValue(field, name, "may not be '.', '..', or contain '/' or '%'")];
  }
  const isLabel = resource.builtIn && labelNamed.has(`${resource.group}/${resource.plural}`);
  const max = isLabel ? labelMax : subdomainMax;
  if (name.length > max) {
    return [invalidValue(field, name, `must be no more than ${max} characters`)];
  }
  if (isLabel ? labelPattern.test(name) : subdomainPattern.test(name)) return [];
  return [invalidValue(field, name, isLabel ? labelText : subdomainText)];
}

function labelErrors(meta: JsonObject): FieldError[] {
  return Object.entries(objectAt(meta, 'labels')).flatMap(([key, value]): FieldError[] => {
    const field = 'metadata.labels';
    if (!isLabelKey(key)) return [invalidValue(field, key, keyText)];
    if (typeof value !== 'string') return [invalidValue(field, value, 'must be a string')];
    return isLabelValue(value) ? [] : [invalidValue(field, value, valueText)];
  });
}

function annotationErrors(meta: JsonObject): FieldError[] {
  const field = 'metadata.annotations';
  const entries = Object.entries(objectAt(meta, 'annotations'));
  const bad = entries.filter(([key]) => !isLabelKey(key.toLowerCase()));
  const errors = bad.map(([key]) => invalidValue(field, key, keyText));
  const bytes = entries.reduce((sum, [key, value]) => {
    return sum + key.length + (typeof value === 'string' ? Buffer.byteLength(value) : 0);
  }, 0);
  if (bytes <= annotationBytesMax) return errors;
  const message = `Too long: may not be more than ${annotationBytesMax} bytes`;
  return [...errors, { reason: 'FieldValueTooLong', field, message }];
}

const plainFinalizers: ReadonlySet<string> = new Set([
  'foregroundDeletion',
  'orphan',
  'kubernetes',
]);

function finalizerErrors(meta: JsonObject): FieldError[] {
  return textsAt(meta, 'finalizers').flatMap((name, i): FieldError[] => {
    const field = `metadata.finalizers[${i}]`;
    if (!isLabelKey(name)) return [invalidValue(field, name, keyText)];
    if (name.includes('/') || plainFinalizers.has(name) || name.includes('.')) return [];
    const why = 'name is neither a standard finalizer name nor is it fully qualified';
    return [invalidValue(field, name, why)];
  });
}

function ownerErrors(meta: JsonObject): FieldError[] {
  const owners = objectsAt(meta, 'ownerReferences');
  const errors = owners.flatMap((owner, i): FieldError[] =>
    ['apiVersion', 'kind', 'name', 'uid']
      .filter((key) => textAt(owner, key) === '')
      .map((key) => {
        const field = `metadata.ownerReferences[${i}].${key}`;
        return invalidValue(field, '', 'must not be empty');
      }),
  );
  const controllers = owners.filter((owner) => owner['controller'] === true);
  const [first, second] = controllers.map(
    (owner) => `${textAt(owner, 'kind')}/${textAt(owner, 'name')}`,
  );
  if (second === undefined) return errors;
  const field = 'metadata.ownerReferences';
  const why =
    'Only one reference can have Controller set to true. Found "true" in references for ' +
    `${first} and ${second}`;
  return [...errors, invalidValue(field, owners.map(ordered), why)];
}

/** In the order that Go's encoder gives the fields of an owner reference. */
function ordered(owner: JsonObject): JsonObject {
  const keys = ['apiVersion', 'kind', 'name', 'uid', 'controller', 'blockOwnerDeletion'];
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = owner[key];
      return value === undefined ? [] : [[key, value] as const];
    }),
  );
}

/** What a client may not set; taken from the live object, or left out. */
const serverSet: readonly string[] = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'resourceVersion',
  'selfLink',
];

/** The metadata of a new object, with only what a client decides about. */
export function cleanMetadata(meta: JsonObject): JsonObject {
  return withKeys(meta, Object.fromEntries(serverSet.map((key) => [key, undefined])));
}

/** Clients may write the same moment with fractions, or in another zone. */
function isSameTime(a: Json, b: Json | undefined): boolean {
  if (typeof a !== 'string' || typeof b !== 'string') return false;
  const seconds = (text: string): number => Math.floor(Date.parse(text) / 1000);
  return seconds(a) === seconds(b);
}

const fixed = ['uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'];

/** What a client gave another value than it has for good. */
export function fixedMetadata(given: JsonObject, live: JsonObject): FieldError[] {
  return fixed.flatMap((key): FieldError[] => {
    const value = given[key];
    if (value === undefined || value === null || value === '') return [];
    if (value === live[key] || isSameTime(value, live[key])) return [];
    return [invalidValue(`metadata.${key}`, value, 'field is immutable')];
  });
}

/** The metadata of a changed object: what the server set stays as it is. */
export function keptMetadata(meta: JsonObject, live: JsonObject): JsonObject {
  const kept = Object.fromEntries(
    [...serverSet, 'name', 'namespace', 'generateName'].map((key) => [key, live[key]]),
  );
  return withKeys(meta, kept);
}

/** Finalizers that were added to an object that is being deleted. */
export function lateFinalizers(meta: JsonObject, live: JsonObject): FieldError[] {
  if (textAt(live, 'deletionTimestamp') === '') return [];
  const before = new Set(textsAt(live, 'finalizers'));
  const added = textsAt(meta, 'finalizers').filter((name) => !before.has(name));
  if (added.length === 0) return [];
  const list = added.map((name) => JSON.stringify(name)).join(', ');
  const why =
    'no new finalizers can be added if the object is being deleted, found new finalizers ' +
    `[]string{${list}}`;
  // Said twice: by the rules of metadata, and by those of deletion.
  const error = forbiddenValue('metadata.finalizers', why);
  return [error, error];
}
