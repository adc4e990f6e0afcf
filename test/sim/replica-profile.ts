/** What can happen in one schedule of a replicated volume. */
import type { Rng } from './rng.ts';
import type { SimDiskOptions } from './sim-disk.ts';

export interface ReplicaProfile {
  readonly names: readonly string[];
  /** Members at the beginning. */
  readonly replicas: number;
  readonly steps: number;
  /** Processes and machines end at any moment. */
  readonly crashing: boolean;
  readonly links: boolean;
  readonly members: boolean;
  readonly takeovers: boolean;
  /** Disks get full for a while. */
  readonly tight: boolean;
  /** The one whose disk is not as it should be, and how; then it alone fails in other ways. */
  readonly faulty: string | undefined;
  readonly faults: Partial<SimDiskOptions>;
  /** Unflushed writes may be lost without a loss of power. */
  readonly loses: boolean;
}

export function chooseProfile(rng: Rng): ReplicaProfile {
  const names = ['a', 'b', 'c', 'd'].slice(0, rng.pick([2, 3, 3, 4]));
  const faulty = names.length > 2 && rng.chance(0.2) ? rng.pick(names) : undefined;
  const replicas = faulty === undefined ? rng.between(1, Math.min(3, names.length)) : 3;
  const isLying = faulty !== undefined && rng.chance(0.5);
  const faults = isLying ? { lyingSync: rng.pick(['journal/', 'segments/']) } : failing(rng);
  return {
    names,
    replicas,
    steps: rng.pick([40, 80, 160]),
    crashing: rng.chance(0.7),
    links: !isLying && rng.chance(0.6),
    members: !isLying && rng.chance(0.5),
    takeovers: rng.chance(0.7),
    tight: rng.chance(0.2),
    faulty,
    faults: faulty === undefined ? {} : faults,
    loses: faulty !== undefined,
  };
}

function failing(rng: Rng): Partial<SimDiskOptions> {
  return { syncFailure: rng.pick([0, 0.01]), readFailure: rng.pick([0, 0.01]) };
}
