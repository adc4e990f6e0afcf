/** Agents that are broken on purpose, by a wrapper around their pool or their disk. */
import type { PoolApi } from '../../src/volume/api.ts';
import { overlay } from './mutants.ts';
import type { TeleportMutation } from './teleport-node.ts';

export interface TeleportMutant {
  readonly promise: string;
  readonly mutation: TeleportMutation;
}

function withPool(promise: string, change: (pool: PoolApi) => Partial<PoolApi>): TeleportMutant {
  return { promise, mutation: { pool: (pool) => overlay(pool, change(pool)) } };
}

export const teleportMutants: Readonly<Record<string, TeleportMutant>> = {
  'root-before-chunks': {
    promise: 'the chunks under a root are durable before the root counts',
    mutation: { disk: { lyingSync: 'segments/' } },
  },
  'available-too-early': withPool('Available means that nothing is missing', (pool) => ({
    missing: (names) => pool.missing(names).slice(0, -1),
  })),
  'teleport-lease-not-kept': withPool('what a teleport reads is never collected', (pool) => ({
    grantLease: async (request) => {
      const grant = await pool.grantLease(request);
      await pool.releaseLease(grant.leaseId);
      return grant;
    },
  })),
  'origin-forgotten': withPool('a volume that arrives remembers from where', (pool) => ({
    createFromVersion: ({ name, version }) => pool.createFromVersion({ name, version }),
  })),
};
