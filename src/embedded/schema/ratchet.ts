/**
 * What was stored before a schema became stricter may stay as it is (Kubernetes, "Validation
 * ratcheting"): an update is refused only for what it changes.
 */
import type { FieldError, JsonObject } from './api.ts';
import { at, equal } from './json.ts';

/** Is the error about a value that the update leaves as it was? */
export function isUnchanged(error: FieldError, object: JsonObject, old: JsonObject): boolean {
  // Items of lists have no identity here: the list is what is compared.
  const [place = ''] = error.field.split('[');
  const keys = place.split('.');
  // What is missing is missing in the object around it.
  const path =
    error.reason === 'FieldValueRequired' && place === error.field ? keys.slice(0, -1) : keys;
  if (path.length === 0) return false;
  const now = at(object, ...path);
  return now !== undefined && equal(now, at(old, ...path));
}
