/** create, update and patch. */
import { TransshipError } from '../../base/errors.ts';
import type { KubeResponse } from '../../kube/transport.ts';
import type { JsonObject } from '../schema/api.ts';
import { bodyObject, bodyPatch, mediaTypeOf } from './body.ts';
import { type Managed, storeChanged, storeNew, typed } from './change.ts';
import { isList, isObject, metaOf, textAt, withMeta } from './json.ts';
import { type Call, keyOfCall, timeText } from './kernel.ts';
import { negotiate } from './negotiation.ts';
import { objectOf } from './present.ts';
import { presented } from './reading.ts';
import { apiVersionText } from './registry.ts';
import { objectResponse } from './response.ts';
import { badRequest, failure, notFound, unsupportedMediaType } from './status.ts';
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
  if (!accepted.includes(type)) throw unsupportedMediaType(accepted);
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
      message: `the server rejected our request due to an error in our request: ${error.message}`,
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
    const { object, managed } = merged(call, options, undefined, applied);
    return answer(call, 201, storeNew(call, options, object, managed));
  }
  const live = objectOf(store, call.resource, entry);
  const { object, managed } = merged(call, options, live, applied);
  const version = textAt(metaOf(applied), 'resourceVersion');
  const given = version === '' ? object : withMeta(object, { resourceVersion: version });
  return answer(call, 200, storeChanged({ call, options, entry, given, managed }));
}

function appliedObject(call: Call, body: JsonObject): JsonObject {
  const { name } = call.target;
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
  const result = served.schema.apply({
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

function applyConflict(conflicts: Conflicts): Error {
  const owners = Map.groupBy(conflicts, ({ manager, subresource, apiVersion }) => {
    const of = subresource === undefined ? '' : ` with subresource "${subresource}"`;
    return `conflicts with "${manager}"${of} using ${apiVersion}`;
  });
  const texts = [...owners].map(([owner, fields]) => {
    if (fields.length === 1) return `${owner}: ${fields[0]?.field}`;
    return `${owner}:\n${fields.map(({ field }) => `- ${field}`).join('\n')}`;
  });
  const count = conflicts.length;
  const body = owners.size === 1 ? texts[0] : `\n${texts.join('\n')}`;
  return failure({
    code: 409,
    reason: 'Conflict',
    message: `Apply failed with ${count} conflict${count === 1 ? '' : 's'}: ${body}`,
    details: {
      causes: conflicts.map(({ manager, field, apiVersion }) => ({
        reason: 'FieldManagerConflict',
        message: `conflict with "${manager}" using ${apiVersion}`,
        field,
      })),
    },
  });
}
