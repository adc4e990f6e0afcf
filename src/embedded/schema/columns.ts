// Columns of custom resources: the name, then what the CRD says, then nothing or the age.
import { ageOf } from './ages.ts';
import type { Json, JsonObject, PrinterColumn } from './api.ts';
import { isObject, textAt } from './json.ts';
import { compileSteps } from './jsonpath.ts';

export const nameColumn: PrinterColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Unique among the objects of its kind in a namespace.',
  priority: 0,
  value: (object) => textAt(object, 'metadata', 'name') ?? '',
};

export const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'date',
  description: 'Time since it was created.',
  priority: 0,
  value: (object, nowMs) => ageOf(textAt(object, 'metadata', 'creationTimestamp'), nowMs),
};

/** Of a CRD's version; `Name` and `Age` where it has none of its own. */
export function customColumns(columns: readonly Json[]): readonly PrinterColumn[] {
  if (columns.length === 0) return [nameColumn, ageColumn];
  return [nameColumn, ...columns.filter(isObject).map(customColumn)];
}

function customColumn(column: JsonObject): PrinterColumn {
  const type = textAt(column, 'type') ?? 'string';
  const format = textAt(column, 'format');
  const description = textAt(column, 'description');
  const read = compileSteps(textAt(column, 'jsonPath') ?? '');
  const { priority } = column;
  return {
    name: textAt(column, 'name') ?? '',
    type,
    ...(format === undefined ? {} : { format }),
    ...(description === undefined ? {} : { description }),
    priority: typeof priority === 'number' ? priority : 0,
    value: (object, nowMs) => cell(type, read(object), nowMs),
  };
}

function cell(type: string, found: readonly Json[], nowMs: number): Json {
  const [first = null] = found;
  if (first === null && found.length <= 1) return null;
  switch (type) {
    case 'integer':
    case 'number':
      return numberOf(first, type === 'integer');
    case 'boolean':
      return typeof first === 'boolean' ? first : null;
    case 'date':
      return typeof first === 'string' ? ageOf(first, nowMs) : '<unknown>';
    default:
      return found
        .map((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
        .join(',');
  }
}

function numberOf(value: Json, whole: boolean): Json {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof number !== 'number' || Number.isNaN(number)) return null;
  return whole ? Math.trunc(number) : number;
}
