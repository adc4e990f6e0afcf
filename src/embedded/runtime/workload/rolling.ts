/** Arithmetic of rolling updates (Kubernetes documentation, "Rolling Update Deployment"). */
import type { IntOrPercent } from '../../../kube/workloads.ts';

/** A count, or a share of `total`, rounded up or down. What is neither counts as 0. */
export function countOf(value: IntOrPercent, total: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return Math.max(0, Math.trunc(value));
  const share = /^(\d{1,4})%$/.exec(value)?.[1];
  if (share === undefined) return 0;
  const count = (Number(share) * total) / 100;
  return round === 'up' ? Math.ceil(count) : Math.floor(count);
}

export interface RollingLimits {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

/** Both 0 would never move: then one pod may be missing. */
export function rollingLimits(
  replicas: number,
  rollingUpdate: { readonly maxSurge?: IntOrPercent; readonly maxUnavailable?: IntOrPercent } = {},
): RollingLimits {
  const maxSurge = countOf(rollingUpdate.maxSurge ?? '25%', replicas, 'up');
  const maxUnavailable = countOf(rollingUpdate.maxUnavailable ?? '25%', replicas, 'down');
  if (maxSurge === 0 && maxUnavailable === 0) return { maxSurge, maxUnavailable: 1 };
  return { maxSurge, maxUnavailable: Math.min(maxUnavailable, replicas) };
}

/** One ReplicaSet of a rollout, as numbers. */
export interface Share {
  /** Asked for. */
  readonly replicas: number;
  /** There at most: those asked for, or those not yet given up. */
  readonly pods: number;
  readonly available: number;
}

export interface Rollout {
  readonly replicas: number;
  readonly limits: RollingLimits;
  readonly fresh: Share;
  /** Oldest first. */
  readonly old: readonly Share[];
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** How many replicas the new set may have now. */
export function nextFresh({ replicas, limits, fresh, old }: Rollout): number {
  if (fresh.replicas >= replicas) return replicas;
  const total = fresh.pods + sum(old.map((one) => one.pods));
  const room = replicas + limits.maxSurge - total;
  return fresh.replicas + Math.max(0, Math.min(room, replicas - fresh.replicas));
}

/**
 * How many replicas the old sets may have now. First those go that serve nobody, then as many as
 * the available ones allow. An availability reported before a scale-down is not trusted beyond the
 * replicas that are left.
 */
export function nextOld({ replicas, limits, fresh, old }: Rollout): readonly number[] {
  const next = old.map((one) => one.replicas);
  const minAvailable = replicas - limits.maxUnavailable;
  const trusted = (one: Share) => Math.min(one.available, one.replicas);
  const freshUnavailable = fresh.replicas - trusted(fresh);
  const budget = fresh.replicas + sum(next) - minAvailable - freshUnavailable;
  if (budget <= 0) return next;
  let cleaned = 0;
  for (const [i, one] of old.entries()) {
    const unhealthy = Math.max(0, one.replicas - trusted(one));
    const gone = Math.min(unhealthy, budget - cleaned);
    next[i] = one.replicas - gone;
    cleaned += gone;
  }
  let spare = Math.min(trusted(fresh) + sum(old.map(trusted)) - minAvailable, budget - cleaned);
  for (const [i, left] of next.entries()) {
    const gone = Math.max(0, Math.min(left, spare));
    next[i] = left - gone;
    spare -= gone;
  }
  return next;
}

/**
 * A change of the whole size in the middle of a rollout, spread over the sets in proportion, so
 * that neither side of the rollout takes it all.
 */
export function spread(sizes: readonly number[], total: number): readonly number[] {
  const before = sum(sizes);
  if (before === 0 || before === total) return sizes;
  const next = sizes.map((size) => Math.floor((size * total) / before));
  let left = total - sum(next);
  const byRest = sizes
    .map((size, i) => ({ i, rest: (size * total) / before - (next[i] ?? 0) }))
    .toSorted((a, b) => b.rest - a.rest || a.i - b.i);
  for (const { i } of byRest) {
    if (left === 0) break;
    if (sizes[i] === 0) continue;
    next[i] = (next[i] ?? 0) + 1;
    left -= 1;
  }
  return next;
}
