/** The scale sub-resource: replicas of whatever has some, in one form (autoscaling/v1 Scale). */
import type { KubeResponse } from '../../kube/transport.ts';
import type { Json, JsonObject, ScaleSubresource } from '../schema/api.ts';
import { mediaTypeOf } from './body.ts';
import { storeChanged } from './change.ts';
import {
  isObject,
  metaOf,
  nameOf,
  numberAt,
  objectAt,
  textAt,
  withKeys,
  withMeta,
} from './json.ts';
import type { Call } from './kernel.ts';
import { invalidValue } from './metadata.ts';
import { objectOf } from './present.ts';
import { objectResponse } from './response.ts';
import { formatLabelSelector } from './selector.ts';
import { invalid, noSuchResource, unsupportedMediaType } from './status.ts';
import { writeOptions } from './write-options.ts';
import { patched, requireBody, requireEntry } from './writing.ts';

export function answerScale(call: Call): KubeResponse {
  const { scale } = call.resource.served.subresources;
  if (scale === undefined) throw noSuchResource();
  const entry = requireEntry(call);
  const live = objectOf(call.kernel.store, call.resource, entry);
  const current = scaleOf(live, scale);
  if (call.target.verb === 'get') return objectResponse(200, current);
  const wanted = call.target.verb === 'update' ? requireBody(call) : patchedScale(call, current);
  const replicas = numberAt(objectAt(wanted, 'spec'), 'replicas') ?? 0;
  if (!Number.isInteger(replicas) || replicas < 0) {
    const why = 'must be greater than or equal to 0';
    throw invalid(scaleSubject, nameOf(live), [invalidValue('spec.replicas', replicas, why)]);
  }
  const version = textAt(metaOf(wanted), 'resourceVersion');
  const changed = withPath(live, pathParts(scale.specReplicasPath), replicas);
  const given = withMeta(changed, { resourceVersion: version || String(entry.version) });
  const options = writeOptions(call);
  const now = storeChanged({ call, options, entry, given, managed: undefined });
  return objectResponse(200, scaleOf(now, scale));
}

const scaleSubject = { group: 'autoscaling', plural: 'scales', kind: 'Scale' } as const;

function patchedScale(call: Call, current: JsonObject): JsonObject {
  const type = mediaTypeOf(call.info);
  // Of a scale, a strategic merge patch says what a merge patch does.
  if (type === 'application/strategic-merge-patch+json') {
    return patched(call, current, 'application/merge-patch+json');
  }
  const accepted = ['application/json-patch+json', 'application/merge-patch+json'];
  if (!accepted.includes(type)) throw unsupportedMediaType(accepted);
  return patched(call, current, type);
}

function scaleOf(object: JsonObject, scale: ScaleSubresource): JsonObject {
  const meta = metaOf(object);
  const { name = '', namespace, uid = '', resourceVersion = '', creationTimestamp = '' } = meta;
  const selector = selectorText(object, scale);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid,
      resourceVersion,
      creationTimestamp,
    },
    spec: { replicas: countAt(object, scale.specReplicasPath) },
    status: {
      replicas: countAt(object, scale.statusReplicasPath),
      ...(selector === '' ? {} : { selector }),
    },
  };
}

function selectorText(object: JsonObject, { labelSelectorPath }: ScaleSubresource): string {
  if (labelSelectorPath === undefined) return '';
  const value = valueAt(object, pathParts(labelSelectorPath));
  if (typeof value === 'string') return value;
  if (!isObject(value)) return '';
  const isPlain = !('matchLabels' in value) && !('matchExpressions' in value);
  return formatLabelSelector(isPlain ? { matchLabels: value } : value);
}

/** Of `.spec.replicas`: the only form of path that scales may have. */
function pathParts(path: string): readonly string[] {
  return path.split('.').filter((part) => part !== '');
}

function valueAt(object: JsonObject, parts: readonly string[]): Json | undefined {
  let at: Json | undefined = object;
  for (const part of parts) at = isObject(at) ? at[part] : undefined;
  return at;
}

function countAt(object: JsonObject, path: string): number {
  const value = valueAt(object, pathParts(path));
  return typeof value === 'number' ? value : 0;
}

function withPath(object: JsonObject, parts: readonly string[], value: Json): JsonObject {
  const [first, ...rest] = parts;
  if (first === undefined) return object;
  if (rest.length === 0) return withKeys(object, { [first]: value });
  return withKeys(object, { [first]: withPath(objectAt(object, first), rest, value) });
}
