/** The table at the end. Every number in it was measured in this run. */
import type { TeleportObject } from '../../api/objects.ts';
import { renderTable } from '../../cli/table.ts';
import { formatBytes } from '../../base/units.ts';
import type { Facts } from './story.ts';

interface Row {
  readonly what: string;
  readonly there: string;
  readonly back: string;
}

export function summary(
  facts: Facts,
  ends: { readonly there: TeleportObject; readonly back: TeleportObject },
): string {
  const both = (what: string, of: (teleport: TeleportObject) => string): Row => ({
    what,
    there: of(ends.there),
    back: of(ends.back),
  });
  const times = (a: number, b: number): string => `${(a / Math.max(1, b)).toFixed(1)} x`;
  const rows: readonly Row[] = [
    both('time to Accessible', ({ status }) => `${Math.round(status.accessibleAfterMs ?? 0)} ms`),
    both('data, logical', ({ status }) => formatBytes(status.progress.totalBytes)),
    { what: 'unique blocks', there: formatBytes(facts.uniqueBytes), back: '' },
    { what: 'stored, compressed', there: formatBytes(facts.storedBytes), back: '' },
    both('known already', ({ status }) => formatBytes(status.progress.presentBytes)),
    both('fetched on demand', ({ status }) => formatBytes(status.progress.demandBytes)),
    both('fetched behind', ({ status }) => formatBytes(status.progress.backgroundBytes)),
    both('on the wire', ({ status }) => formatBytes(status.progress.wireBytes)),
    both('logical : wire', ({ status: { progress } }) =>
      times(progress.totalBytes, progress.wireBytes),
    ),
    { what: 'verified', there: 'yes: roots and all bytes', back: 'yes: roots' },
  ];
  return renderTable(
    [
      { header: '', value: ({ what }) => what },
      { header: 'EAST-TO-WEST', value: ({ there }) => there },
      { header: 'BACK', value: ({ back }) => (back === '' ? '-' : back) },
    ],
    rows,
    { wide: false },
  ).replace(/^<none>/, '      ');
}
