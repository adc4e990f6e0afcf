// The functions of one served version, over its compiled schema.
import { apply, track } from './apply.ts';
import type { FieldError, JsonObject, ObjectSchema } from './api.ts';
import { Checker, isBlocking } from './check.ts';
import { invalid } from './field-errors.ts';
import { setOfPaths } from './field-set.ts';
import type { SchemaNode } from './node.ts';
import { prepare } from './prepare.ts';
import { Report } from './report.ts';
import { isUnchanged } from './ratchet.ts';
import { strategicMerge } from './strategic.ts';

export interface ObjectSchemaOptions {
  readonly node: SchemaNode;
  /** Is status a sub-resource, so that apply of the object leaves it alone? */
  readonly hasStatus: boolean;
  /** Paths of fields that the server sets when an object is made: managedFields leave them out. */
  readonly unowned?: readonly (readonly string[])[];
  /** Defaults that depend on more than one field. */
  readonly complete?: (object: JsonObject) => JsonObject;
  /** Checks beyond the schema. */
  readonly validate?: Validate;
  /** CEL rules. */
  readonly rules?: Validate;
}

type Validate = (object: JsonObject, old: JsonObject | undefined) => readonly FieldError[];

const rulesSkipped = invalid(
  '<nil>',
  null,
  'some validation rules were not checked because the object was invalid; ' +
    'correct the existing errors to complete validation',
);

/** What built-in kinds' own checks find too, in better words: a server has no schema for these. */
function isSoft({ reason }: FieldError): boolean {
  return reason === 'FieldValueRequired' || reason === 'FieldValueNotSupported';
}

function isTold(error: FieldError, own: readonly FieldError[]): boolean {
  const list = error.field.replace(/\[\d+\]$/, '');
  return own.some(({ field }) => field === error.field || field === list);
}

export function createObjectSchema(options: ObjectSchemaOptions): ObjectSchema {
  const { node } = options;
  const rules = { hasStatus: options.hasStatus, unowned: setOfPaths(options.unowned ?? []) };
  const check = new Checker().check(node);
  return {
    prepare(object) {
      const prepared = prepare(node, object);
      if (options.complete === undefined) return prepared;
      return { object: options.complete(prepared.object), unknown: prepared.unknown };
    },
    validate(object, old) {
      const report = new Report();
      check(object, '', report);
      const isRatcheted = old !== undefined && !node.builtIn;
      const errors = isRatcheted
        ? report.errors.filter((error) => !isUnchanged(error, object, old))
        : report.errors;
      if (options.rules !== undefined) {
        if (errors.some(isBlocking)) return [...errors, rulesSkipped];
        return [...errors, ...options.rules(object, old)];
      }
      if (!errors.every(isSoft)) return errors;
      const own = options.validate?.(object, old) ?? [];
      return [...own, ...errors.filter((error) => !isTold(error, own))];
    },
    strategicMerge: (current, patch) => strategicMerge(node, current, patch),
    apply: (request) => apply(node, options.hasStatus, request),
    track: (request) => track(node, rules, request),
  };
}
