/** Which agent has a volume, or is to have it. */
import type { Pool } from '../../api/kinds/pool.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import { TransshipError } from '../../base/errors.ts';
import type { AgentMirror } from '../agents/mirror.ts';
import type { Agents } from '../agents/agents.ts';
import { annotations, labels } from '../labels.ts';

export interface Placement {
  readonly mirror?: AgentMirror;
  /** The name of the pool at the agent. */
  readonly pool?: string;
  readonly blocker?: TransshipError;
}

export interface PlacementView {
  readonly agents: Agents;
  findPool(name: string): Pool | undefined;
}

/** Once a volume is somewhere, or was promised to an agent, that is where it is looked for. */
export function placeOf(object: Volume, view: PlacementView): Placement {
  const { agents } = view;
  const name = object.metadata.name ?? '';
  const wanted = poolOf(object, view);
  const chosen = object.metadata.annotations?.[annotations.agent];
  const holder = agents.holding(name);
  if (holder !== undefined) return reachable(holder, wanted.pool);
  if (chosen !== undefined) {
    const mirror = agents.find(chosen);
    if (mirror !== undefined) return reachable(mirror, wanted.pool);
    return { blocker: unreachable(`agent ${chosen} is not one of this cluster any more`) };
  }
  if (!agents.complete) return { blocker: notRead(agents) };
  if (wanted.blocker !== undefined) return wanted;
  if (wanted.mirror !== undefined) return reachable(wanted.mirror, wanted.pool);
  const { source } = object.spec;
  const origin = source?.clone?.volume ?? source?.snapshot?.volume;
  if (origin !== undefined) return besides(origin, agents);
  const usable = agents.all.filter((mirror) => mirror.usable);
  const best = usable.toSorted((a, b) => freeBytes(b) - freeBytes(a))[0];
  if (best === undefined) return { blocker: notRead(agents) };
  return { mirror: best };
}

/** A clone shares the chunks of its source, so it is made in the same pool. */
function besides(origin: string, agents: Agents): Placement {
  const mirror = agents.holding(origin);
  if (mirror !== undefined) return reachable(mirror, undefined);
  const message = `there is no volume ${origin} to clone`;
  return { blocker: new TransshipError('NotFound', message) };
}

function poolOf(object: Volume, { agents, findPool }: PlacementView): Placement {
  const name = object.spec.replicas?.[0]?.pool;
  if (name === undefined) return {};
  const { [labels.agent]: agent, [labels.pool]: pool } = findPool(name)?.metadata.labels ?? {};
  if (agent !== undefined && pool !== undefined) {
    const mirror = agents.find(agent);
    if (mirror !== undefined) return { mirror, pool };
    return { blocker: unreachable(`agent ${agent} of pool ${name} is not one of this cluster`) };
  }
  return { blocker: new TransshipError('NotFound', `there is no pool ${name} in this cluster`) };
}

function reachable(mirror: AgentMirror, pool: string | undefined): Placement {
  const { trouble, synced } = mirror;
  const blocker = trouble ?? (synced ? undefined : unreachable('the agent has not answered yet'));
  return {
    mirror,
    ...(pool === undefined ? {} : { pool }),
    ...(blocker === undefined ? {} : { blocker: unreachable(blocker.message) }),
  };
}

function notRead(agents: Agents): TransshipError {
  if (agents.all.length === 0) return unreachable('the local Cluster object names no agents');
  const names = agents.all.filter(({ usable }) => !usable).map(({ place }) => place.name);
  return unreachable(`no answer from agent ${names.join(', ')}`);
}

function unreachable(message: string): TransshipError {
  return new TransshipError('AgentUnreachable', message);
}

function freeBytes({ pools }: AgentMirror): number {
  const free = [...pools.values()].map(({ status }) => (status.readOnly ? 0 : status.freeBytes));
  return Math.max(-1, ...free);
}
