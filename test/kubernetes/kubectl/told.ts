/** What kubectl printed, as it is in every run. */

/** Ages become AGE, spaces between columns one, so that their width says nothing. */
export function told(output: string): readonly string[] {
  return output
    .split('\n')
    .map((line) =>
      line
        .replace(/\b(\d+[smhd])+\b|<invalid>/g, 'AGE')
        .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UID')
        .replace(/ {2,}/g, '  ')
        .trimEnd(),
    )
    .filter((line) => line !== '');
}
