/**
 * From kubectl's client-side apply, which keeps what it applied in an annotation, to server-side
 * apply: what kubectl applied there is its own here too (Kubernetes, "Upgrading from client-side
 * apply to server-side apply").
 */
import type { ApplyRequest, Json, JsonObject } from './api.ts';
import { emptySet, type FieldSet } from './field-set.ts';
import { isObject, textAt } from './json.ts';
import type { SchemaNode } from './node.ts';
import { canonicalObject } from './prepare.ts';
import { compare, fieldsOf } from './structured.ts';

const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
/** Others who apply have no such past. */
const kubectl = 'kubectl';

function annotationOf(object: JsonObject | undefined): string | undefined {
  return textAt(object, 'metadata', 'annotations', annotation);
}

/** Fields that kubectl applied in the older way and nobody changed since. */
export function ownedByLastApplied(node: SchemaNode, request: ApplyRequest): FieldSet {
  const text = request.manager === kubectl ? annotationOf(request.live) : undefined;
  const last = text === undefined ? undefined : parsed(text);
  if (last === undefined || request.live === undefined) return emptySet;
  const { object } = canonicalObject(node, last);
  const { modified, removed } = compare(node, object, request.live);
  return fieldsOf(node, object).difference(modified).difference(removed);
}

function parsed(text: string): JsonObject | undefined {
  try {
    const value = JSON.parse(text) as Json;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The annotation follows, so that either way of applying goes on from the other. */
export function withLastApplied(object: JsonObject, request: ApplyRequest): JsonObject {
  if (request.manager !== kubectl || request.subresource !== undefined) return object;
  if (annotationOf(request.live) === undefined) return object;
  const { metadata } = object;
  if (!isObject(metadata)) return object;
  const annotations = isObject(metadata['annotations']) ? metadata['annotations'] : {};
  const text = `${JSON.stringify(bare(request.applied))}\n`;
  return {
    ...object,
    metadata: { ...metadata, annotations: { ...annotations, [annotation]: text } },
  };
}

/** Without the annotation itself. */
function bare(applied: JsonObject): JsonObject {
  const { metadata } = applied;
  if (!isObject(metadata) || !isObject(metadata['annotations'])) return applied;
  const { [annotation]: _, ...annotations } = metadata['annotations'];
  return { ...applied, metadata: { ...metadata, annotations } };
}
