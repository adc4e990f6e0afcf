// The functions of one served version, over its compiled schema.
import { fail } from '../../base/errors.ts';
import type {
  ApplyRequest,
  ApplyResult,
  FieldError,
  JsonObject,
  ManagedField,
  ObjectSchema,
  TrackRequest,
} from './api.ts';
import { Checker, Report } from './check.ts';
import type { SchemaNode } from './node.ts';
import { mergePatch } from './patches.ts';
import { prepare } from './prepare.ts';

export interface ObjectSchemaOptions {
  readonly node: SchemaNode;
  /** Defaults that depend on more than one field. */
  readonly complete?: (object: JsonObject) => JsonObject;
  /** Checks beyond the schema. */
  readonly validate?: (object: JsonObject, old: JsonObject | undefined) => readonly FieldError[];
}

export function createObjectSchema(options: ObjectSchemaOptions): ObjectSchema {
  const { node } = options;
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
      if (report.errors.length > 0) return report.errors;
      return options.validate?.(object, old) ?? [];
    },
    strategicMerge: (current, patch) => mergePatch(current, patch),
    apply: (_request: ApplyRequest): ApplyResult =>
      fail('Unsupported', 'server-side apply is on its way'),
    track: (_request: TrackRequest): readonly ManagedField[] => [],
  };
}
