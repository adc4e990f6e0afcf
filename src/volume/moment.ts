/** A wall-clock time for people. */
export function formatMoment(ms: number): string {
  return new Date(ms).toISOString();
}
