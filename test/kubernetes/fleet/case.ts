/** A case of the controllers: it runs on a fleet, in a namespace of its own. */
import type { FleetContext } from './context.ts';
import type { Side } from './fleet.ts';

export interface FleetCase {
  readonly name: string;
  /** Kills or cuts what others use. */
  readonly alone: boolean;
  /** Takes longer than `npm test` has time for. */
  readonly long: boolean;
  /** The only side where it means something. */
  readonly only?: Side;
  readonly run: (t: FleetContext) => Promise<void>;
}

type Run = FleetCase['run'];

export function fleetCases(
  table: Readonly<Record<string, Run | (Partial<FleetCase> & { readonly run: Run })>>,
): readonly FleetCase[] {
  return Object.entries(table).map(([name, written]) => {
    const more = typeof written === 'function' ? { run: written } : written;
    return { name, alone: false, long: false, ...more };
  });
}

/** Thrown by a case that this machine cannot run. */
export class SkippedCase extends Error {}
