/** Tables as kubectl prints them: upper-case headers, three spaces between columns, no lines. */

export interface Column<Row> {
  /** Upper case, no spaces. */
  readonly header: string;
  /** Shown with `-o wide` only. */
  readonly wide?: boolean;
  readonly alignRight?: boolean;
  /** `undefined` and '' print as `<none>`. */
  value(row: Row): string | undefined;
}

const gap = '   ';

export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  options: { readonly wide: boolean; readonly headers?: boolean },
): string {
  const shown = columns.filter((column) => options.wide || column.wide !== true);
  const cells = rows.map((row) => shown.map((column) => cellText(column.value(row))));
  const lines =
    options.headers === false ? cells : [shown.map((column) => column.header), ...cells];
  const widths = shown.map((_, index) => Math.max(...lines.map((line) => line[index]!.length)));
  return lines.map((line) => `${alignLine(line, shown, widths)}\n`).join('');
}

/** Prints rows that come one after another under one header: columns only ever grow. */
export class RunningTable<Row> {
  readonly #widths: number[] = [];
  #hasHeader = false;

  /** Lines of these rows, and of the header before the first. */
  add(columns: readonly Column<Row>[], rows: readonly Row[], wide: boolean): string {
    const shown = columns.filter((column) => wide || column.wide !== true);
    const cells = rows.map((row) => shown.map((column) => cellText(column.value(row))));
    const lines = this.#hasHeader ? cells : [shown.map((column) => column.header), ...cells];
    this.#hasHeader = true;
    for (const [index] of shown.entries()) {
      const longest = Math.max(...lines.map((line) => line[index]!.length));
      this.#widths[index] = Math.max(this.#widths[index] ?? 0, longest);
    }
    return lines.map((line) => `${alignLine(line, shown, this.#widths)}\n`).join('');
  }
}

function alignLine<Row>(
  line: readonly string[],
  columns: readonly Column<Row>[],
  widths: readonly number[],
): string {
  const padded = line.map((cell, index) =>
    columns[index]!.alignRight === true
      ? cell.padStart(widths[index]!)
      : cell.padEnd(widths[index]!),
  );
  return padded.join(gap).trimEnd();
}

/** A cell stays on its line whatever a peer sent. */
export function cellText(value: string | undefined): string {
  if (value === undefined || value === '') return '<none>';
  return value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}

/** "Label:   value" lines for one object. */
export function renderFields(fields: readonly (readonly [string, string | undefined])[]): string {
  const width = Math.max(...fields.map(([label]) => label.length)) + 1;
  return fields
    .map(([label, value]) => `${`${label}:`.padEnd(width)}  ${cellText(value)}\n`)
    .join('');
}
