/** Where a migration is, in words that are the same in every run of one story. */
import type { Migration } from '../../src/api/kinds/migration.ts';
import { isBegun } from '../../src/flow/state.ts';

/** `go/copyAhead`, `go/undo copyAhead`; `go/begin` before its first step, `go/over` at its end. */
export function placeOf({ metadata, status }: Migration): string {
  const { itinerary = [], completionTime } = status ?? {};
  const step = itinerary.findLast(isBegun);
  const isBack = step?.message?.startsWith('Taking back') === true;
  const word = step === undefined ? 'begin' : `${isBack ? 'undo ' : ''}${step.name}`;
  return `${metadata.name}/${completionTime === undefined ? word : 'over'}`;
}
