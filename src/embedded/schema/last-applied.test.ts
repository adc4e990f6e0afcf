import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApplyRequest, ApplyResult, JsonObject } from './api.ts';
import { createSchemaLibrary } from './library.ts';

const schema = createSchemaLibrary()
  .builtIns()
  .find(({ kind, group }) => kind === 'ConfigMap' && group === '')?.schema;
assert.ok(schema !== undefined);

const annotation = 'kubectl.kubernetes.io/last-applied-configuration';

function map(data: JsonObject, annotations?: JsonObject): JsonObject {
  const metadata = { name: 'a', ...(annotations === undefined ? {} : { annotations }) };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
}

/** As client-side apply of `last` left it; `data` is what it is now. */
function live(last: JsonObject, data: JsonObject): JsonObject {
  const object = map(data, { [annotation]: JSON.stringify(map(last)) });
  const entry = { manager: 'kubectl-client-side-apply', operation: 'Update', apiVersion: 'v1' };
  const fields = Object.fromEntries(Object.keys(data).map((key) => [`f:${key}`, {}]));
  const managedFields = [{ ...entry, fieldsType: 'FieldsV1', fieldsV1: { 'f:data': fields } }];
  return { ...object, metadata: { ...(object['metadata'] as JsonObject), managedFields } };
}

function apply(
  data: JsonObject,
  before: JsonObject,
  more: Partial<ApplyRequest> = {},
): ApplyResult {
  return schema?.apply({
    live: before,
    applied: map(data),
    manager: 'kubectl',
    force: false,
    time: '2026-01-01T00:00:00Z',
    apiVersion: 'v1',
    subresource: undefined,
    ...more,
  }) as ApplyResult;
}

test('kubectl takes over what it applied before, and the annotation follows', () => {
  const result = apply({ k: '3' }, live({ k: '1', l: '2' }, { k: '1', l: '2' }));
  assert.ok('object' in result);
  assert.deepEqual(result.object['data'], { k: '3', l: '2' });
  const { annotations } = result.object['metadata'] as { annotations: Record<string, string> };
  assert.deepEqual(JSON.parse(annotations[annotation] ?? ''), map({ k: '3' }));
});

test('what somebody changed since is a conflict all the same', () => {
  const result = apply({ k: '3' }, live({ k: '1' }, { k: 'changed' }));
  assert.ok('conflicts' in result);
  assert.deepEqual(
    result.conflicts.map(({ field }) => field),
    ['.data.k'],
  );
});

test('others take nothing over', () => {
  const before = live({ k: '1' }, { k: '1' });
  assert.ok('conflicts' in apply({ k: '3' }, before, { manager: 'somebody' }));
});

test('an annotation that is no object is as none', () => {
  const before = live({ k: '1' }, { k: '1' });
  const metadata = before['metadata'] as JsonObject;
  const broken = { ...before, metadata: { ...metadata, annotations: { [annotation]: '{' } } };
  assert.ok('conflicts' in apply({ k: '3' }, broken));
});
