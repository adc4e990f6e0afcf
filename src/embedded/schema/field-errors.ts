// Field errors in the words of Kubernetes (apimachinery, validation/field).
import type { FieldError, Json } from './api.ts';

/** A value as messages show it. */
export function shown(value: Json): string {
  return JSON.stringify(value);
}

export function invalid(field: string, value: Json, detail: string): FieldError {
  const message = `Invalid value: ${shown(value)}${detail === '' ? '' : `: ${detail}`}`;
  return { reason: 'FieldValueInvalid', field, message };
}

export function required(field: string, detail = ''): FieldError {
  const message = detail === '' ? 'Required value' : `Required value: ${detail}`;
  return { reason: 'FieldValueRequired', field, message };
}

export function typeInvalid(field: string, value: Json, detail: string): FieldError {
  return { ...invalid(field, value, detail), reason: 'FieldValueTypeInvalid' };
}

export function unsupported(field: string, value: Json, supported: readonly Json[]): FieldError {
  const list = supported.map(shown).join(', ');
  const tail = supported.length === 0 ? '' : `: supported values: ${list}`;
  const message = `Unsupported value: ${shown(value)}${tail}`;
  return { reason: 'FieldValueNotSupported', field, message };
}

export function duplicate(field: string, value: Json): FieldError {
  const message = `Duplicate value: ${shown(value)}`;
  return { reason: 'FieldValueDuplicate', field, message };
}

export function tooMany(field: string, count: number, max: number): FieldError {
  const items = max === 1 ? 'item' : 'items';
  const message = `Too many: ${count}: must have at most ${max} ${items}`;
  return { reason: 'FieldValueTooMany', field, message };
}

/** Of a text in bytes. */
export function tooLong(field: string, max: number): FieldError {
  const unit = max === 1 ? 'byte' : 'bytes';
  const message = `Too long: may not be more than ${max} ${unit}`;
  return { reason: 'FieldValueTooLong', field, message };
}

export function forbidden(field: string, detail: string): FieldError {
  const message = detail === '' ? 'Forbidden' : `Forbidden: ${detail}`;
  return { reason: 'FieldValueForbidden', field, message };
}

export function notFound(field: string, value: Json): FieldError {
  return { reason: 'FieldValueNotFound', field, message: `Not found: ${shown(value)}` };
}
