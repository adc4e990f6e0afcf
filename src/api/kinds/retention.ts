/** Retentions as specs of history policies have them; without a schema, for commands. */

const seconds = 1000;
const units = { d: 86_400 * seconds, h: 3600 * seconds, m: 60 * seconds, s: seconds } as const;

/** Milliseconds as one number and one unit, the form those fields take. Rounds up. */
export function retentionText(durationMs: number): string {
  if (durationMs <= 0) return '0';
  for (const [unit, unitMs] of Object.entries(units)) {
    if (durationMs % unitMs === 0) return `${durationMs / unitMs}${unit}`;
  }
  return `${Math.ceil(durationMs / seconds)}s`;
}
