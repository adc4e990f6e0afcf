/** Objects as rows for kubectl (meta.k8s.io/v1 Table), and as their metadata alone. */
import type { Json, JsonObject, PrinterColumn, SchemaLibrary } from '../schema/api.ts';
import type { ServedResource } from '../schema/api.ts';
import { age } from './duration.ts';
import { isList, isObject, metaOf, nameOf } from './json.ts';

const nameColumn: JsonObject = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  priority: 0,
};

const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'date',
  description: 'When the object was created.',
  priority: 0,
  value: '.metadata.creationTimestamp',
};

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableMaker {
  readonly columns: readonly JsonObject[];
  row(object: JsonObject, nowMs: number): JsonObject;
}

export function makeTable(
  resource: ServedResource,
  include: IncludeObject,
  library: Pick<SchemaLibrary, 'jsonPath'>,
): TableMaker {
  const wanted = resource.columns.length === 0 ? [ageColumn] : resource.columns;
  // Built-in kinds say all their columns; events have no name among them.
  const hasName = resource.builtIn || wanted[0]?.name === 'Name';
  const cells = wanted.map((column) => cellReader(column, library));
  const named = hasName ? [] : [nameColumn];
  return {
    columns: [...named, ...wanted.map(definition)],
    row: (object, nowMs) => {
      const values = cells.map((read) => read(object, nowMs));
      return {
        cells: hasName ? values : [nameOf(object), ...values],
        object: include === 'None' ? null : include === 'Object' ? object : partial(object),
      };
    },
  };
}

function definition(column: PrinterColumn): JsonObject {
  const { name, type, format = '', description = '', priority } = column;
  return { name, type, format, description, priority };
}

function cellReader(
  column: PrinterColumn,
  library: Pick<SchemaLibrary, 'jsonPath'>,
): (object: JsonObject, nowMs: number) => Json {
  const { value, type } = column;
  if (typeof value !== 'string') return value;
  const read = library.jsonPath(value);
  return (object, nowMs) => {
    const found = read(object);
    return found === undefined || found === null ? null : cellOf(found, type, nowMs);
  };
}

function cellOf(value: Json, type: string, nowMs: number): Json {
  if (type === 'date') return typeof value === 'string' ? age(value, nowMs) : '<unknown>';
  if (type === 'integer') return typeof value === 'number' ? Math.trunc(value) : null;
  if (type === 'number') return typeof value === 'number' ? value : null;
  if (type === 'boolean') return typeof value === 'boolean' ? value : null;
  if (typeof value === 'string') return value;
  return isList(value) || isObject(value) ? JSON.stringify(value) : String(value);
}

/** The object without everything but its metadata. */
export function partial(object: JsonObject, version = 'v1'): JsonObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: `meta.k8s.io/${version}`,
    metadata: metaOf(object),
  };
}
