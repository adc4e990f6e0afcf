/** create, update and patch. */
import { TransshipError } from '../../base/errors.ts';
import type { KubeResponse } from '../../kube/transport.ts';
import type { ApplyRequest, ApplyResult, JsonObject } from '../schema/api.ts';
import { bodyObject, bodyPatch, mediaTypeOf } from './body.ts';
import { type Managed, storeChanged, storeNew, typed } from './change.ts';
import { isList, isObject, metaOf, textAt, withMeta } from './json.ts';
import { type Call, keyOfCall, timeText } from './kernel.ts';
import { negotiate } from './negotiation.ts';
import { objectOf } from './present.ts';
import { presented } from './reading.ts';
import { apiVersionText } from './registry.ts';
import { objectResponse } from './response.ts';
import {
  badRequest,
  conflict,
  failure,
  notFound,
  plainFailure,
  unknownPatchType,
  unsupportedMediaType,
} from './status.ts';
import { type WriteOptions, writeOptions } from './write-options.ts';
import type { Entry } from './store.ts';

export function createObject(call: Call): KubeResponse {
  const options = writeOptions(call);
  return answer(call, 201, storeNew(call, options, requireBody(call), undefined));
}

export function updateObject(call: Call): KubeResponse {
  const options = writeOptions(call);
  const given = requireBody(call);
  const entry = requireEntry(call);
  return answer(call, 200, storeChanged({ call, options, entry, given, managed: undefined }));
}

export function requireEntry(call: Call): Entry {
  const entry = call.kernel.store.get(keyOfCall(call));
  if (entry === undefined) throw notFound(call.resource.served, call.target.name);
  return entry;
}

export function requireBody(call: Call): JsonObject {
  const body = bodyObject(call.info);
  if (body === undefined) throw badRequest('the body of the request is empty');
  return body;
}

/** The object in the form the client asked for, with the warnings so far. */
export function answer(call: Call, status: number, object: JsonObject): KubeResponse {
  const { headers } = call.info.request;
  const form = negotiate(headers['accept'], ['object', 'table', 'partial']);
  if (form.form === 'object' && !form.yaml) return objectResponse(status, object);
  return { ...presented(call, object, form), status };
}

const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export function patchObject(call: Call): KubeResponse {
  const type = mediaTypeOf(call.info);
  const { builtIn } = call.resource.served;
  const { json, merge, strategic, apply } = patchTypes;
  const accepted: readonly string[] = builtIn
    ? [json, merge, strategic, apply]
    : [json, merge, apply];
  if (!accepted.includes(type)) {
    const isKnown = Object.values<string>(patchTypes).includes(type);
    throw isKnown ? unsupportedMediaType(accepted) : unknownPatchType();
  }
  const options = writeOptions(call);
  if (type === apply) return applyObject(call, options);
  const entry = requireEntry(call);
  const live = objectOf(call.kernel.store, call.resource, entry);
  const given = patched(call, live, type);
  return answer(call, 200, storeChanged({ call, options, entry, given, managed: undefined }));
}

/** The live object with the patch on it. */
export function patched(call: Call, live: JsonObject, type: string): JsonObject {
  const patch = bodyPatch(call.info);
  const { library } = call.kernel;
  try {
    if (type === patchTypes.json) {
      if (isList(patch)) return library.jsonPatch(live, patch);
      throw badRequest('a JSON patch is a list of operations');
    }
    if (!isObject(patch)) throw badRequest('a merge patch is an object');
    if (type === patchTypes.merge) return library.mergePatch(live, patch);
    return call.resource.served.schema.strategicMerge(live, patch);
  } catch (error) {
    if (!(error instanceof TransshipError)) throw error;
    throw failure({
      code: 422,
      reason: 'Invalid',
      message: 'the server rejected our request due to an error in our request',
      details: {},
    });
  }
}

function applyObject(call: Call, options: WriteOptions): KubeResponse {
  if ((call.info.query.get('fieldManager') ?? '') === '') {
    throw failure({
      code: 422,
      reason: 'Invalid',
      message:
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for ' +
        'apply patch',
      details: {
        group: 'meta.k8s.io',
        kind: 'PatchOptions',
        causes: [
          {
            reason: 'FieldValueRequired',
            message: 'Required value: is required for apply patch',
            field: 'fieldManager',
          },
        ],
      },
    });
  }
  const body = bodyPatch(call.info);
  if (!isObject(body)) throw badRequest('what is applied is an object');
  const applied = appliedObject(call, body);
  const { store } = call.kernel;
  const entry = store.get(keyOfCall(call));
  if (entry === undefined) {
    if (call.target.subresource !== '') throw notFound(call.resource.served, call.target.name);
    requireNoUid(call, applied);
    const { object, managed } = merged(call, options, undefined, applied);
    return answer(call, 201, storeNew(call, options, object, managed));
  }
  const live = objectOf(store, call.resource, entry);
  const { object, managed } = merged(call, options, live, applied);
  const version = textAt(metaOf(applied), 'resourceVersion');
  const given = version === '' ? object : withMeta(object, { resourceVersion: version });
  return answer(call, 200, storeChanged({ call, options, entry, given, managed }));
}

/** Whoever names a uid means an object that was there. */
function requireNoUid({ resource, target }: Call, applied: JsonObject): void {
  const uid = textAt(metaOf(applied), 'uid');
  if (uid === '') return;
  const why =
    `uid mismatch: the provided object specified uid ${uid}, and no existing object was ` + 'found';
  throw conflict(resource.served, target.name, why);
}

function appliedObject(call: Call, body: JsonObject): JsonObject {
  const { name } = call.target;
  const kind = textAt(body, 'kind');
  const apiVersion = textAt(body, 'apiVersion');
  if (kind === '' || apiVersion === '') {
    const at = apiVersion.indexOf('/');
    const [group, version] = [apiVersion.slice(0, Math.max(0, at)), apiVersion.slice(at + 1)];
    throw badRequest(`invalid object type: ${group}/${version}, Kind=${kind}`);
  }
  const says = textAt(metaOf(body), 'name');
  if (says !== '' && says !== name) {
    throw badRequest(
      `the name of the object (${says}) does not match the name on the URL (${name})`,
    );
  }
  if ('managedFields' in metaOf(body) && metaOf(body)['managedFields'] !== null) {
    throw badRequest('metadata.managedFields must be nil');
  }
  return withMeta(typed(call, body), { name });
}

function merged(
  call: Call,
  options: WriteOptions,
  live: JsonObject | undefined,
  applied: JsonObject,
): { readonly object: JsonObject; readonly managed: Managed } {
  const { served } = call.resource;
  const { subresource } = call.target;
  const result = typedApply(call, {
    live,
    applied,
    manager: options.manager,
    force: options.force,
    time: timeText(call.kernel.clock),
    apiVersion: apiVersionText(served),
    subresource: subresource === '' ? undefined : subresource,
  });
  if (!('conflicts' in result)) return result;
  throw applyConflict(result.conflicts);
}

type Conflicts = readonly {
  readonly manager: string;
  readonly field: string;
  readonly apiVersion: string;
  readonly subresource: string | undefined;
}[];

function typedApply(call: Call, request: ApplyRequest): ApplyResult {
  const { served } = call.resource;
  try {
    return served.schema.apply(request);
  } catch (error) {
    if (!(error instanceof TransshipError)) throw error;
    // The core group has no name, but its place before the version.
    throw plainFailure(error.message.replace(`; ${served.version},`, `; /${served.version},`));
  }
}

function applyConflict(conflicts: Conflicts): Error {
  const owners = Map.groupBy(conflicts, (one) => ownerText(one));
  const isOne = conflicts.length === 1;
  const texts = [...owners].map(([owner, fields]) => {
    if (isOne) return `conflict with ${owner}: ${fields[0]?.field}`;
    return `conflicts with ${owner}:\n${fields.map(({ field }) => `- ${field}`).join('\n')}`;
  });
  const count = `${conflicts.length} conflict${isOne ? '' : 's'}`;
  return failure({
    code: 409,
    reason: 'Conflict',
    message: `Apply failed with ${count}: ${texts.join('\n')}`,
    details: {
      causes: conflicts.map((one) => ({
        reason: 'FieldManagerConflict',
        message: `conflict with ${ownerText(one)}`,
        field: one.field,
      })),
    },
  });
}

/** Managers that apply are known by their name alone, others also by what they wrote. */
function ownerText({ manager, subresource, apiVersion }: Conflicts[number]): string {
  const part = subresource === undefined ? '' : ` with subresource "${subresource}"`;
  return `"${manager}"${part}${apiVersion === '' ? '' : ` using ${apiVersion}`}`;
}
