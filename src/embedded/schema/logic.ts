/** allOf, anyOf, oneOf, not: schemas about values, which say nothing of what fields there are. */
import type { FieldError, Json, OpenApiSchema } from './api.ts';
import { invalid } from './field-errors.ts';
import { type Check, Report } from './report.ts';

/** `checkOf` makes the check of a schema inside of these. */
export function logicChecks(
  schema: OpenApiSchema,
  checkOf: (schema: OpenApiSchema) => Check,
): readonly Check[] {
  const parts = (key: string): readonly Check[] =>
    ((schema[key] as readonly OpenApiSchema[] | undefined) ?? []).map(checkOf);
  const [all, some, one] = [parts('allOf'), parts('anyOf'), parts('oneOf')];
  const not = schema['not'] as OpenApiSchema | undefined;
  return [
    ...(all.length > 0 ? [allCheck(all)] : []),
    ...(some.length > 0 ? [anyCheck(some)] : []),
    ...(one.length > 0 ? [oneCheck(one)] : []),
    ...(not === undefined ? [] : [notCheck(checkOf(not))]),
  ];
}

function errorsOf(check: Check, value: Json, path: string): readonly FieldError[] {
  const report = new Report();
  check(value, path, report);
  return report.errors;
}

function allCheck(parts: readonly Check[]): Check {
  return (value, path, report) => {
    const before = report.errors.length;
    for (const check of parts) check(value, path, report);
    if (report.errors.length === before) return;
    report.add(logicError(`"${path}" must validate all the schemas (allOf)`));
  };
}

function anyCheck(parts: readonly Check[]): Check {
  return (value, path, report) => {
    const found = parts.map((check) => errorsOf(check, value, path));
    if (found.some((errors) => errors.length === 0)) return;
    report.add(logicError(`"${path}" must validate at least one schema (anyOf)`));
    addClosest(found, report);
  };
}

function oneCheck(parts: readonly Check[]): Check {
  return (value, path, report) => {
    const found = parts.map((check) => errorsOf(check, value, path));
    const count = found.filter((errors) => errors.length === 0).length;
    if (count === 1) return;
    const why = count === 0 ? 'Found none valid' : `Found ${count} valid alternatives`;
    report.add(logicError(`"${path}" must validate one and only one schema (oneOf). ${why}`));
    if (count === 0) addClosest(found, report);
  };
}

/** What is wrong with the schema that is closest to fit, the first of several. */
function addClosest(found: readonly (readonly FieldError[])[], report: Report): void {
  const least = Math.min(...found.map((errors) => errors.length));
  for (const error of found.find((errors) => errors.length === least) ?? []) report.add(error);
}

function notCheck(refused: Check): Check {
  return (value, path, report) => {
    if (errorsOf(refused, value, path).length > 0) return;
    report.add(logicError(`"${path}" must not validate the schema (not)`));
  };
}

/** Servers tell these about no field: the message names it. */
function logicError(words: string): FieldError {
  return invalid('<nil>', '', words);
}
