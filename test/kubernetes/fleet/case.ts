/** A case of the controllers: it runs on a fleet, in a namespace of its own. */
import type { FleetContext } from './context.ts';

export interface FleetCase {
  readonly name: string;
  /** Kills or cuts what others use. */
  readonly alone: boolean;
  readonly run: (t: FleetContext) => Promise<void>;
}

type Run = FleetCase['run'];

export function fleetCases(
  table: Readonly<Record<string, Run | { readonly alone: true; readonly run: Run }>>,
): readonly FleetCase[] {
  return Object.entries(table).map(([name, written]) => {
    if (typeof written === 'function') return { name, alone: false, run: written };
    return { name, ...written };
  });
}
