/** JSON merge patch (RFC 7386) and JSON patch (RFC 6902). */
import { applyPatch, type Operation } from 'rfc6902';
import { fail } from '../../base/errors.ts';
import type { Json, JsonObject } from './api.ts';
import { copy, isObject, type MutableObject, own, put } from './json.ts';

/** As many operations as the real server takes in one patch. */
const operationsMax = 10_000;

export function mergePatch(current: JsonObject, patch: JsonObject): JsonObject {
  const out: MutableObject = { ...current };
  for (const key of Object.keys(patch)) {
    const value = patch[key] ?? null;
    if (value === null) {
      delete out[key];
    } else if (isObject(value)) {
      const before = own(current, key);
      put(out, key, mergePatch(isObject(before) ? before : {}, value));
    } else {
      put(out, key, value);
    }
  }
  return out;
}

/** `Invalid` when an operation is none, or cannot be done; then nothing is. */
export function jsonPatch(current: JsonObject, patch: readonly Json[]): JsonObject {
  if (patch.length > operationsMax) {
    fail('Invalid', `The allowed maximum operations in a JSON patch is ${operationsMax}`);
  }
  const operations = patch.map(readOperation);
  const target = copy(current) as JsonObject;
  for (const operation of operations) {
    const [error] = applyPatch(target, [operation]);
    if (error !== null && error !== undefined) fail('Invalid', explain(operation, error));
  }
  return target;
}

function readOperation(value: Json): Operation {
  if (!isObject(value)) fail('Invalid', 'an operation of a JSON patch is an object');
  const { op, path, from } = value;
  const known = ['add', 'remove', 'replace', 'move', 'copy', 'test'];
  if (typeof op !== 'string' || !known.includes(op)) {
    fail('Invalid', `Unexpected kind of JSON patch operation: ${JSON.stringify(op)}`);
  }
  checkPointer(op, path);
  if (op === 'move' || op === 'copy') checkPointer(op, from);
  if (['add', 'replace', 'test'].includes(op) && !Object.hasOwn(value, 'value')) {
    fail('Invalid', `the ${op} operation of a JSON patch needs a value`);
  }
  return copy(value) as unknown as Operation;
}

function checkPointer(op: string, pointer: Json | undefined): void {
  if (typeof pointer !== 'string' || (pointer !== '' && !pointer.startsWith('/'))) {
    fail('Invalid', `the ${op} operation of a JSON patch has no JSON pointer`);
  }
  if (pointer === '') fail('Invalid', 'a JSON patch cannot take the place of the whole object');
  const parts = pointer.split('/');
  if (parts.some((part) => ['__proto__', 'constructor', 'prototype'].includes(part))) {
    fail('Invalid', `${pointer} cannot be patched`);
  }
}

function explain(operation: Operation, error: Error): string {
  if (operation.op === 'test') return `testing value ${operation.path} failed: test failed`;
  const what = `${operation.op} operation does not apply: doc is missing path: "${operation.path}"`;
  return error.name === 'MissingError' ? `${what}: missing value` : `${what}: ${error.message}`;
}
