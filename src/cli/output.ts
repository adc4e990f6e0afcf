/** Objects on stdout in the format asked for: table, wide, json, yaml or name. */
import type { ApiObject, ListOf } from '../api/objects.ts';
import { fail } from '../base/errors.ts';
import { columnsByKind } from './columns.ts';
import { renderTable } from './table.ts';

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

interface Named {
  readonly kind: string;
  readonly metadata: { readonly name?: string };
}

/** "volume/db", as kubectl's `-o name`. */
export function nameOf(object: Named): string {
  return `${object.kind.toLowerCase()}/${object.metadata.name}`;
}
