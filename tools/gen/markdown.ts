// Markdown pieces that the generators share.

/** A cell that cannot break its table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

export function table(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(headers), line(headers.map(() => '---')), ...rows.map(line)];
}

/** The first line of every generated document. */
export function generatedFrom(source: string): string {
  return `<!-- Made by \`npm run gen\` from ${source}; change that, not this. -->`;
}

export function code(text: string): string {
  return `\`${text}\``;
}
