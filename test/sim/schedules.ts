/**
 * All kinds of schedules behind one seed: most are of one engine, some of agents that teleport,
 * some of whole clusters with their control planes, some of replicated volumes. Migrations have
 * seeds of their own.
 */
import type { SchemaLibrary } from '../../src/embedded/schema/api.ts';
import { controlMutants } from './control-mutants.ts';
import { runControl } from './control-run.ts';
import { type RunResult, runSchedule } from './engine-run.ts';
import { moveMutants } from './move-mutants.ts';
import { runMove } from './move-run.ts';
import { killedAt } from './move-story.ts';
import { mutants } from './mutants.ts';
import { replicaMutants } from './replica-mutants.ts';
import { runReplicas } from './replica-run.ts';
import { teleportMutants } from './teleport-mutants.ts';
import { runTeleports } from './teleport-run.ts';

/** One seed in so many is of teleports, one of control planes, one of replicas. */
const teleportEvery = 8;
const controlEvery = 8;
const controlOffset = 4;
const replicaEvery = 8;
const replicaOffset = 2;
/** Seeds from here on are of migrations: one disturbance each. */
export const migrationsFrom = 10_000_000_000;
/** From here on one cutover whose controllers are killed after as many effects as are left. */
export const killsFrom = 20_000_000_000;

export interface AnyOptions {
  readonly seed: number;
  readonly mutant?: string | undefined;
  /** Of an earlier schedule of this process. */
  readonly library?: SchemaLibrary | undefined;
  readonly onEvent?: ((label: string, nowMs: number) => void) | undefined;
}

/** Every mutant with the promise that it breaks. */
export const allMutants: Readonly<Record<string, { readonly promise: string }>> = {
  ...mutants,
  ...teleportMutants,
  ...controlMutants,
  ...moveMutants,
  ...replicaMutants,
};

export type Kind = 'engine' | 'teleport' | 'control' | 'replica' | 'migration';

/** What a seed is a schedule of. */
export function kindOf(seed: number): Kind {
  if (seed >= migrationsFrom) return 'migration';
  if (seed % controlEvery === controlOffset) return 'control';
  if (seed % replicaEvery === replicaOffset) return 'replica';
  return seed % teleportEvery === 0 ? 'teleport' : 'engine';
}

export function runAny({ seed, mutant, library, onEvent }: AnyOptions): Promise<RunResult> {
  const broken = mutant === undefined ? undefined : teleportMutants[mutant];
  if (broken !== undefined) return runTeleports({ seed, onEvent, mutation: broken.mutation });
  const misruled = mutant === undefined ? undefined : controlMutants[mutant];
  if (misruled !== undefined) return runControl({ seed, onEvent, mutation: misruled.mutation });
  const unproven = mutant === undefined ? undefined : moveMutants[mutant];
  if (unproven !== undefined) return runMove({ seed, library, onEvent, ...unproven });
  const unsafe = mutant === undefined ? undefined : replicaMutants[mutant];
  if (unsafe !== undefined) return runReplicas({ seed, onEvent, mutation: unsafe.mutation });
  const { mutate, open, profile } = (mutant === undefined ? undefined : mutants[mutant]) ?? {};
  const kind = mutant === undefined ? kindOf(seed) : 'engine';
  if (kind === 'migration') return migrate({ seed, library, onEvent });
  if (kind === 'control') return runControl({ seed, onEvent });
  if (kind === 'replica') return runReplicas({ seed, onEvent });
  if (kind === 'teleport') return runTeleports({ seed, onEvent });
  return runSchedule({ seed, mutate, open, profile, onEvent });
}

function migrate({ seed, ...more }: Omit<AnyOptions, 'mutant'>): Promise<RunResult> {
  if (seed < killsFrom) return runMove({ seed: seed - migrationsFrom, ...more });
  return runMove({ seed: 0, story: killedAt(seed - killsFrom), ...more });
}
