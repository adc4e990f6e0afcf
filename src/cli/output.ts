/** Objects on stdout in the format asked for: table, wide, json, yaml or name. */
import type { ApiObject, ConditionView, ListOf } from '../api/objects.ts';
import { fail } from '../base/errors.ts';
import { columnsByKind, since } from './columns.ts';
import { type Column, renderFields, renderTable } from './table.ts';

export const outputFormats = ['table', 'wide', 'json', 'yaml', 'name'] as const;

export type OutputFormat = (typeof outputFormats)[number];

export function parseOutput(text: string): OutputFormat {
  const format = outputFormats.find((known) => known === text);
  if (format === undefined) {
    fail('BadArgument', `-o ${text} is not known; use one of ${outputFormats.join(', ')}`);
  }
  return format;
}

type Anything = ApiObject | ListOf<ApiObject>;

function isList(object: Anything): object is ListOf<ApiObject> {
  return 'items' in object;
}

/** The text of an object or list, ending in a newline. */
export async function render(
  object: Anything,
  format: OutputFormat,
  nowMs: number,
): Promise<string> {
  if (format === 'json') return `${JSON.stringify(object, null, 2)}\n`;
  if (format === 'yaml') {
    // Loaded when asked for: parsing YAML is no part of a fast start.
    const yaml = await import('yaml');
    return yaml.stringify(object);
  }
  const items = isList(object) ? object.items : [object];
  if (format === 'name') return items.map((item) => `${nameOf(item)}\n`).join('');
  const columns = columnsByKind[kindOf(object)];
  if (columns === undefined) return `${JSON.stringify(object, null, 2)}\n`;
  return renderTable(columns(nowMs), items, { wide: format === 'wide' });
}

function kindOf(object: Anything): string {
  return isList(object) ? object.kind.replace(/List$/, '') : object.kind;
}

/** "volume/db", as kubectl's `-o name`. */
export function nameOf(object: ApiObject): string {
  return `${object.kind.toLowerCase()}/${object.metadata.name}`;
}

interface WithConditions {
  readonly status?: { readonly conditions?: readonly ConditionView[] };
}

/** One object for a person: every column as a line, then its conditions. */
export function describe(object: ApiObject, nowMs: number): string {
  const columns = columnsByKind[object.kind]?.(nowMs) ?? [];
  const fields = columns.map((column): readonly [string, string | undefined] => [
    labelOf(column.header),
    column.value(object),
  ]);
  if (object.metadata.cluster !== undefined) fields.splice(1, 0, ['Cluster', cluster(object)]);
  const created = object.metadata.creationTimestamp;
  if (created !== undefined) fields.push(['Created', since(created, nowMs)]);
  return renderFields(fields) + conditionsText(object, nowMs);
}

function cluster(object: ApiObject): string | undefined {
  return object.metadata.cluster;
}

function labelOf(header: string): string {
  return header.charAt(0) + header.slice(1).toLowerCase();
}

const conditionColumns: readonly Column<ConditionView>[] = [
  { header: '  CONDITION', value: ({ type }) => `  ${type}` },
  { header: 'STATUS', value: ({ status }) => status },
  { header: 'REASON', value: ({ reason }) => reason },
  { header: 'MESSAGE', value: ({ message }) => message },
];

function conditionsText(object: ApiObject, _nowMs: number): string {
  const conditions = (object as WithConditions).status?.conditions ?? [];
  if (conditions.length === 0) return '';
  return `Conditions:\n${renderTable(conditionColumns, conditions, { wide: false })}`;
}
