/**
 * All kinds of schedules behind one seed: most are of one engine, some of agents that teleport,
 * some of whole clusters with their control planes.
 */
import { controlMutants } from './control-mutants.ts';
import { runControl } from './control-run.ts';
import { type RunResult, runSchedule } from './engine-run.ts';
import { mutants } from './mutants.ts';
import { teleportMutants } from './teleport-mutants.ts';
import { runTeleports } from './teleport-run.ts';

/** One seed in so many is of teleports, one of control planes: they take longer. */
const teleportEvery = 8;
const controlEvery = 8;
const controlOffset = 4;

export interface AnyOptions {
  readonly seed: number;
  readonly mutant?: string | undefined;
  readonly onEvent?: ((label: string, nowMs: number) => void) | undefined;
}

/** Every mutant with the promise that it breaks. */
export const allMutants: Readonly<Record<string, { readonly promise: string }>> = {
  ...mutants,
  ...teleportMutants,
  ...controlMutants,
};

export type Kind = 'engine' | 'teleport' | 'control';

/** What a seed is a schedule of. */
export function kindOf(seed: number): Kind {
  if (seed % controlEvery === controlOffset) return 'control';
  return seed % teleportEvery === 0 ? 'teleport' : 'engine';
}

export function runAny({ seed, mutant, onEvent }: AnyOptions): Promise<RunResult> {
  const broken = mutant === undefined ? undefined : teleportMutants[mutant];
  if (broken !== undefined) return runTeleports({ seed, onEvent, mutation: broken.mutation });
  const misruled = mutant === undefined ? undefined : controlMutants[mutant];
  if (misruled !== undefined) return runControl({ seed, onEvent, mutation: misruled.mutation });
  const { mutate, open, profile } = (mutant === undefined ? undefined : mutants[mutant]) ?? {};
  const kind = mutant === undefined ? kindOf(seed) : 'engine';
  if (kind === 'control') return runControl({ seed, onEvent });
  if (kind === 'teleport') return runTeleports({ seed, onEvent });
  return runSchedule({ seed, mutate, open, profile, onEvent });
}
