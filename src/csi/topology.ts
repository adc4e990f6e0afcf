/** Where volumes can be used: on the node whose agent keeps them. */
import type { Pool } from '../api/kinds/pool.ts';
import { fail } from '../base/errors.ts';
import { labels } from '../controllers/labels.ts';
import type { Topology, TopologyRequirement } from './wire/messages.ts';

/** Label of nodes, set by the kubelet from what the node service says. */
export const topologyKey = 'topology.transship.dev/agent';

export function topologyOf(agent: string): Topology {
  return { segments: { [topologyKey]: agent } };
}

const agentOf = (topology: Topology): string | undefined => topology.segments[topologyKey];

/** The pool with the most room among those that may be used, the preferred places first. */
export function choosePool(
  requirement: TopologyRequirement | undefined,
  pools: readonly Pool[],
): Pool | undefined {
  if (requirement === undefined) return undefined;
  const { preferred, requisite } = requirement;
  const places = [...preferred, ...requisite].map(agentOf);
  for (const place of places) {
    const best = roomiest(pools.filter((pool) => pool.metadata.labels?.[labels.agent] === place));
    if (best !== undefined) return best;
  }
  if (requisite.length === 0) return undefined;
  const wanted = places.join(', ');
  return fail('PoolFull', `no pool that takes writes is at any of the wanted places (${wanted})`);
}

export function roomiest(pools: readonly Pool[]): Pool | undefined {
  const usable = pools.filter(({ spec, status }) => {
    return status?.readOnly !== true && spec.drain === undefined;
  });
  const free = ({ status }: Pool) => status?.freeBytes ?? 0;
  return usable.toSorted((a, b) => free(b) - free(a))[0];
}
