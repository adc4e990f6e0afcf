/** What kind of day a schedule has: how large, how full, how unlucky. All of it from the seed. */
import type { Rng } from './rng.ts';
import type { SimDiskOptions } from './sim-disk.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export interface Profile {
  readonly steps: number;
  readonly concurrency: number;
  readonly volumesMax: number;
  readonly capacityBytes: number;
  /** The pool may run full: refusals for lack of space are right answers. */
  readonly tight: boolean;
  /** Per step. */
  readonly powerLoss: number;
  readonly kill: number;
  /** Lives that end in the middle of a disk call, and after how many calls at most. */
  readonly crashInCall: number;
  readonly callsMax: number;
  /** Crashes while opening. */
  readonly crashInOpen: number;
  readonly faults: Omit<SimDiskOptions, 'capacityBytes'>;
  /** Bit rot per step, in segments only: what a journal may lose is a matter of its format. */
  readonly rot: number;
  readonly history: boolean;
  readonly fastPacker: boolean;
  readonly journalFileBytes: number;
  readonly segmentBytesMax: number;
}

export function createProfile(rng: Rng): Profile {
  const kind = rng.weighted({ calm: 2, crashes: 6, tight: 2, faults: 2, rot: 1 });
  const crashing = kind === 'crashes' || rng.chance(0.3);
  return {
    steps: rng.pick([20, 40, 100]),
    concurrency: rng.pick([1, 3, 8]),
    volumesMax: rng.pick([1, 2, 4]),
    capacityBytes: kind === 'tight' ? rng.pick([6, 10, 16]) * MiB : 512 * MiB,
    tight: kind === 'tight',
    powerLoss: crashing ? 0.03 : 0,
    kill: crashing ? 0.02 : 0,
    crashInCall: crashing ? 0.5 : 0,
    callsMax: rng.pick([30, 300, 1500]),
    crashInOpen: crashing ? 0.2 : 0,
    faults: kind === 'faults' ? rng.pick(faultMixes) : {},
    rot: kind === 'rot' ? 0.05 : 0,
    history: rng.chance(0.4),
    fastPacker: rng.chance(0.85),
    journalFileBytes: rng.pick([256, 1024, 3072]) * KiB,
    segmentBytesMax: rng.pick([256 * KiB, MiB, 4 * MiB]),
  };
}

const faultMixes: readonly Profile['faults'][] = [
  { syncFailure: 0.02 },
  { writeFailure: 0.005 },
  { readFailure: 0.01 },
  { syncFailure: 0.01, writeFailure: 0.002, readFailure: 0.002 },
];

export function hasFaults({ faults }: Profile): boolean {
  return Object.keys(faults).length > 0;
}
