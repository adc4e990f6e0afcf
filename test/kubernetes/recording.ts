/** What the real API server answered, kept for the runs where there is none. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Recorded = Record<string, Record<string, unknown>>;

const folder = join(import.meta.dirname, 'golden');

function read(group: string): Recorded {
  try {
    return JSON.parse(readFileSync(join(folder, `${group}.json`), 'utf8')) as Recorded;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

export interface Recording {
  /** Of one case: compares, or writes down when this run records. */
  of(group: string, name: string): (label: string, value: unknown) => void;
  save(): void;
}

/** `all`: every case will run, so that nothing of before is kept. */
export function openRecording(isRecording: boolean | 'all'): Recording {
  const groups = new Map<string, Recorded>();
  const groupOf = (group: string): Recorded => {
    const known = groups.get(group) ?? (isRecording === 'all' ? {} : read(group));
    groups.set(group, known);
    return known;
  };
  return {
    of: (group, name) => (label, value) => {
      const all = groupOf(group);
      if (isRecording !== false) {
        (all[name] ??= {})[label] = value;
        return;
      }
      const expected = all[name]?.[label];
      assert.ok(expected !== undefined, `${name}: ${label} was never recorded`);
      assert.deepEqual(sorted(value), sorted(expected), label);
    },
    save: () => {
      mkdirSync(folder, { recursive: true });
      for (const [group, recorded] of groups) {
        if (Object.keys(recorded).length === 0) continue;
        const text = `${JSON.stringify(sorted(recorded), undefined, 2)}\n`;
        writeFileSync(join(folder, `${group}.json`), text);
      }
    },
  };
}
