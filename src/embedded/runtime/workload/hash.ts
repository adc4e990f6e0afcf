import { createHash } from 'node:crypto';

/** Letters and digits that make no words; those Kubernetes uses in generated names. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
const hashLength = 10;

/** A short name for a content: the same for equal content, whatever the order of its fields. */
export function contentHash(content: unknown, collisions = 0): string {
  const digest = createHash('sha256')
    .update(`${collisions}:${canonical(content)}`)
    .digest();
  return [...digest.subarray(0, hashLength)]
    .map((byte) => alphabet[byte % alphabet.length])
    .join('');
}

export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`);
  return `{${fields.join(',')}}`;
}
