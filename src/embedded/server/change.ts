/** From what a client gave to what is stored: the rules of new and of changed objects. */
import type { FieldError, Json, JsonObject, ManagedField, ServedResource } from '../schema/api.ts';
import { admit } from './admission.ts';
import { requireLastingDefinition } from './definitions.ts';
import { isObject, metaOf, nameOf, objectsAt, sameJson, textAt, withMeta } from './json.ts';
import { type Call, keyOfCall, timeText, uuid } from './kernel.ts';
import {
  changesSpec,
  hasGeneration,
  prepareChanged,
  prepareNew,
  requiresVersion,
  withFirstStatus,
} from './kinds.ts';
import {
  cleanMetadata,
  generatedName,
  invalidValue,
  fixedMetadata,
  keptMetadata,
  lateFinalizers,
  metadataErrors,
} from './metadata.ts';
import { requireOpenNamespace } from './namespaces.ts';
import { inVersion, objectOf } from './present.ts';
import { apiVersionText, storeKey, toStorage } from './registry.ts';
import {
  alreadyExists,
  badRequest,
  conflict,
  invalid,
  plainFailure,
  unparsable,
} from './status.ts';
import type { Entry } from './store.ts';
import { reportUnknown, type WriteOptions } from './write-options.ts';

/** Who owns which fields, when the request itself says so (apply). */
export type Managed = readonly ManagedField[] | undefined;

/** Checks what kind of object it says it is, against the path; fills that in where absent. */
export function typed(call: Call, given: JsonObject): JsonObject {
  const { served } = call.resource;
  const apiVersion = apiVersionText(served);
  const says = textAt(given, 'apiVersion');
  const kind = textAt(given, 'kind');
  if (!served.builtIn && kind === '') {
    throw badRequest(`Object 'Kind' is missing in '${JSON.stringify(given)}'`);
  }
  if (says !== '' && says !== apiVersion) throw otherVersion(served, says, kind);
  if (kind !== '' && kind !== served.kind) throw otherKind(served, kind);
  const { apiVersion: _a, kind: _k, ...rest } = given;
  return { apiVersion, kind: served.kind, ...rest };
}

function otherVersion(served: ServedResource, says: string, kind: string): Error {
  const expected = apiVersionText(served);
  if (!served.builtIn) {
    return badRequest(
      `the API version in the data (${says}) does not match the expected API version (${expected})`,
    );
  }
  const version = says.slice(says.indexOf('/') + 1);
  const as = `${kind} in version "${version}" cannot be handled as a ${served.kind}`;
  return badRequest(`${as}: no kind "${kind}" is registered for version "${says}" in scheme`);
}

function otherKind(
  { builtIn, group, version, kind: expected }: ServedResource,
  kind: string,
): Error {
  if (!builtIn) {
    return badRequest(
      `the kind in the data (${kind}) does not match the expected kind (${expected})`,
    );
  }
  const [name] = group === '' ? ['core'] : group.split('.');
  const types = `converting (${version}.${kind}) to (${name}.${expected}): unknown conversion`;
  const as = `${kind} in version "${version}" cannot be handled as a ${expected}`;
  return badRequest(`${as}: ${types}`);
}

/** In the namespace of the path. */
function placed(call: Call, object: JsonObject): JsonObject {
  const { namespace } = call.target;
  const says = textAt(metaOf(object), 'namespace');
  if (says !== '' && says !== namespace) {
    throw badRequest(
      call.resource.served.namespaced
        ? 'the namespace of the provided object does not match the namespace sent on the request'
        : 'namespace is not allowed on this type',
    );
  }
  return withMeta(object, { namespace: namespace === '' ? undefined : namespace });
}

/**
 * Stores a new object. Returns it as it now is; with `dryRun`, as it would be. `managed` is given
 * by server-side apply.
 */
export function storeNew(
  call: Call,
  options: WriteOptions,
  given: JsonObject,
  managed: Managed,
): JsonObject {
  const { kernel, resource } = call;
  const { served } = resource;
  const object = madeNew(call, options, given, managed);
  const place = { namespace: call.target.namespace, name: nameOf(object) };
  const key = storeKey(resource, place);
  if (served.namespaced) requireOpenNamespace(call, place.name);
  if (!served.builtIn) requireLastingDefinition(call);
  if (kernel.store.get(key) !== undefined) throw alreadyExists(served, place.name);
  requireValid(call, place.name, [
    ...metadataErrors(object, served),
    ...served.schema.validate(object, undefined),
  ]);
  const admitted = admit({ call, object, live: undefined, dryRun: options.dryRun });
  if (options.dryRun) return admitted;
  return committed(call, [{ key, object: toStorage(resource, admitted) }], admitted);
}

/**
 * Throws 422 with all errors. A built-in field of the wrong type is a 400, though: a real server
 * finds it when it decodes.
 */
function requireValid({ resource }: Call, name: string, errors: readonly FieldError[]): void {
  if (errors.length === 0) return;
  const { served } = resource;
  const mistyped = errors.find((error) => error.reason === 'FieldValueTypeInvalid');
  if (!served.builtIn || mistyped === undefined) throw invalid(served, name, errors);
  const as = `${served.kind} in version "${served.version}" cannot be handled as a ${served.kind}`;
  const found = /^Invalid value: "(\w+)".* must be of type (\w+)/.exec(mistyped.message);
  if (found === null) {
    // What is wrong with a text, after the text itself.
    const why = mistyped.message.replace(/^Invalid value: ("(\\.|[^"\\])*"|[^:]*): /, '');
    throw badRequest(`${as}: ${why}`);
  }
  const [, is, wanted] = found;
  const where = `${served.kind}.${mistyped.field}`;
  throw badRequest(
    `${as}: json: cannot unmarshal ${is} into Go struct field ${where} of type ${wanted}`,
  );
}

function madeNew(
  call: Call,
  options: WriteOptions,
  given: JsonObject,
  managed: Managed,
): JsonObject {
  const { clock, random } = call.kernel;
  const { served } = call.resource;
  const located = placed(call, typed(call, given));
  if (textAt(metaOf(located), 'resourceVersion') !== '') {
    throw plainFailure('resourceVersion should not be set on objects to be created');
  }
  const { object: pruned, unknown } = served.schema.prepare(located);
  reportUnknown(call, options, { unknown, given: located });
  const meta = cleanMetadata(metaOf(pruned));
  const prefix = textAt(meta, 'generateName');
  const name = textAt(meta, 'name');
  const stamped = {
    ...pruned,
    metadata: {
      ...meta,
      ...(name === '' && prefix !== '' ? { name: generatedName(prefix, random) } : {}),
      uid: uuid(random),
      creationTimestamp: timeText(clock),
      ...(hasGeneration(served) ? { generation: 1 } : {}),
    },
  };
  const object = prepareNew(served, withFirstStatus(served, stamped));
  return withManaged(call, { before: undefined, now: object, options, managed });
}

interface Tracking {
  readonly before: JsonObject | undefined;
  readonly now: JsonObject;
  readonly options: WriteOptions;
  readonly managed: Managed;
}

/** With `metadata.managedFields` as they are after the change. */
function withManaged(call: Call, { before, now, options, managed }: Tracking): JsonObject {
  const { resource, target, kernel } = call;
  const { schema } = resource.served;
  const kept = before === undefined ? undefined : ownersBefore(before, now);
  const entries =
    managed ??
    schema.track({
      before: before === undefined ? undefined : withMeta(before, { managedFields: kept }),
      now: withMeta(now, { managedFields: kept }),
      manager: options.manager,
      time: timeText(kernel.clock),
      apiVersion: apiVersionText(resource.served),
      subresource: target.subresource === '' ? undefined : target.subresource,
    });
  const list: readonly Json[] = entries.map((entry) => ({ ...entry }));
  return withMeta(now, { managedFields: list.length === 0 ? undefined : list });
}

/**
 * Who owned what: as the client says, which may have moved fields from one owner to another; as it
 * was, where it says nothing; nobody, when it says that with one empty entry.
 */
function ownersBefore(before: JsonObject, now: JsonObject): Json | undefined {
  const given = objectsAt(metaOf(now), 'managedFields');
  const [first] = given;
  if (given.length === 1 && first !== undefined && Object.keys(first).length === 0)
    return undefined;
  const isComplete = given.length > 0 && given.every((entry) => isObject(entry['fieldsV1']));
  return isComplete ? given : metaOf(before)['managedFields'];
}

/** A change of an object that exists. */
export interface Replacement {
  readonly call: Call;
  readonly options: WriteOptions;
  readonly entry: Entry;
  /** As the client gave it, or as its patch makes it; with the resourceVersion it asks for. */
  readonly given: JsonObject;
  readonly managed: Managed;
}

/** Stores a changed object. Returns it as it now is, also when nothing had to be changed. */
export function storeChanged(replacement: Replacement): JsonObject {
  const { call, options, entry } = replacement;
  const { resource, kernel } = call;
  const { served } = resource;
  const live = objectOf(kernel.store, resource, entry);
  const name = nameOf(live);
  requireSame(replacement, live);
  const object = changed(replacement, live);
  requireValid(call, name, [
    ...metadataErrors(object, served),
    ...fixedMetadata(metaOf(replacement.given), metaOf(live)),
    ...lateFinalizers(metaOf(object), metaOf(live)),
    ...served.schema.validate(object, live),
  ]);
  const admitted = admit({ call, object, live, dryRun: options.dryRun });
  const isSame =
    sameJson(admitted, live) || (replacement.managed && isSameButTimes(admitted, live));
  if (isSame && entry.version > resource.reshapedAt) return live;
  if (options.dryRun) return admitted;
  const draft = isFinished(admitted) ? undefined : toStorage(resource, admitted);
  return committed(call, [{ key: keyOfCall(call), object: draft }], admitted);
}

/**
 * An apply without defaults in what is merged as a whole looks like a change, until the defaults
 * are there again: then only the time of its owner is another, and that alone changes nothing.
 */
function isSameButTimes(a: JsonObject, b: JsonObject): boolean {
  const timeless = (object: JsonObject): JsonObject =>
    withMeta(object, {
      managedFields: objectsAt(metaOf(object), 'managedFields').map(
        ({ time: _time, ...entry }) => entry,
      ),
    });
  return sameJson(timeless(a), timeless(b));
}

/** Nothing holds the object back any more: the change that let go of it is its end. */
export function isFinished(object: JsonObject): boolean {
  const meta = metaOf(object);
  if (textAt(meta, 'deletionTimestamp') === '') return false;
  const grace = meta['deletionGracePeriodSeconds'];
  if (typeof grace === 'number' && grace > 0) return false;
  if (objectsOrTexts(meta['finalizers']) > 0) return false;
  const spec = object['spec'];
  const isNamespace = object['kind'] === 'Namespace' && object['apiVersion'] === 'v1';
  return !isNamespace || !isObject(spec) || objectsOrTexts(spec['finalizers']) === 0;
}

function objectsOrTexts(list: Json | undefined): number {
  return Array.isArray(list) ? list.length : 0;
}

function requireSame({ call, entry, given }: Replacement, live: JsonObject): void {
  const { served } = call.resource;
  const name = nameOf(live);
  const meta = metaOf(given);
  const version = textAt(meta, 'resourceVersion');
  const says = textAt(meta, 'name');
  if (says !== '' && says !== name) {
    throw badRequest(
      `the name of the object (${says}) does not match the name on the URL (${name})`,
    );
  }
  if (version === '' && call.target.verb === 'update' && requiresVersion(served)) {
    const why = 'must be specified for an update';
    throw invalid(served, name, [invalidValue('metadata.resourceVersion', 0, why)]);
  }
  if (!/^\d*$/.test(version)) throw plainFailure(unparsable(version));
  if (version !== '' && version !== '0' && version !== String(entry.version)) {
    throw conflict(served, name);
  }
  const uid = textAt(meta, 'uid');
  const liveUid = textAt(metaOf(live), 'uid');
  if (uid !== '' && uid !== liveUid && call.target.verb === 'update') {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${liveUid}`;
    const place = served.namespaced ? `${call.target.namespace}/${name}` : name;
    const key = `/registry/${served.plural}/${place}`;
    const error = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0`;
    throw conflict(served, name, `${error}, AdditionalErrorMsg: ${why}`);
  }
}

/** The new object: only the part that the sub-resource is about differs from the live one. */
function changed(replacement: Replacement, live: JsonObject): JsonObject {
  const { call, options, managed } = replacement;
  const { served } = call.resource;
  const located = placed(call, typed(call, replacement.given));
  const { object: pruned, unknown } = served.schema.prepare(located);
  reportUnknown(call, options, { unknown, given: located });
  const parts = partsOf(call, pruned, live);
  const metadata = keptMetadata(metaOf(parts), metaOf(live));
  const whole = { ...parts, metadata };
  const isFinalize = call.target.subresource === 'finalize';
  const object = isFinalize ? whole : prepareChanged(served, whole, live);
  const isSpec = hasGeneration(served) && changesSpec(served, object, live);
  const generation = Number(metaOf(live)['generation'] ?? 0) + 1;
  const counted = isSpec ? withMeta(object, { generation }) : object;
  return withManaged(call, { before: live, now: counted, options, managed });
}

function partsOf(call: Call, object: JsonObject, live: JsonObject): JsonObject {
  const { served } = call.resource;
  const { subresource } = call.target;
  if (subresource === 'status') {
    const status = object['status'];
    const metadata = served.builtIn ? metaOf(object) : metaOf(live);
    return withStatus({ ...live, metadata }, status);
  }
  // Binding changes the specification and says so in the status.
  if (subresource === 'binding') return object;
  if (subresource === 'finalize') return { ...live, spec: object['spec'] ?? {} };
  return served.subresources.status ? withStatus(object, live['status']) : object;
}

function withStatus(object: JsonObject, status: Json | undefined): JsonObject {
  const { status: _dropped, ...rest } = object;
  return status === undefined ? rest : { ...rest, status };
}

interface CommitDraft {
  readonly key: string;
  readonly object: JsonObject | undefined;
}

/** Makes it durable; the object with its new version. */
function committed(call: Call, drafts: readonly CommitDraft[], object: JsonObject): JsonObject {
  const { store } = call.kernel;
  const [entry] = store.commit(drafts);
  if (entry?.text === undefined) {
    return withMeta(object, { resourceVersion: String(store.version) });
  }
  return inVersion(call.resource, store.read(entry), entry.version);
}
