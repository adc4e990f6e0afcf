/** Which agent has a volume, or is to have it. */
import type { Volume } from '../../api/kinds/volume.ts';
import { TransshipError } from '../../base/errors.ts';
import type { AgentMirror } from '../agents/mirror.ts';
import type { Agents } from '../agents/agents.ts';
import { annotations, labels } from '../labels.ts';
import { memberOf, membersOf, memberText, type PoolsView } from './members.ts';

export interface Placement {
  readonly mirror?: AgentMirror;
  /** The name of the pool at the agent. */
  readonly pool?: string;
  readonly blocker?: TransshipError;
}

export interface PlacementView {
  readonly agents: Agents;
  readonly pools: PoolsView;
}

/** Once a volume is somewhere, or was promised to an agent, that is where it is looked for. */
export function placeOf(object: Volume, view: PlacementView): Placement {
  const { agents } = view;
  const name = object.metadata.name ?? '';
  const wanted = poolOf(object, view);
  const chosen = object.metadata.annotations?.[annotations.agent];
  const holder = agents.holding(name);
  if (holder !== undefined) return reachable(holder, poolAt(holder, wanted));
  if (chosen !== undefined) {
    const mirror = agents.find(chosen);
    if (mirror !== undefined) return reachable(mirror, poolAt(mirror, wanted));
    return { blocker: unreachable(`agent ${chosen} is not one of this cluster any more`) };
  }
  if (!agents.complete && !isNameUnique(object)) return { blocker: notRead(agents) };
  if (wanted.blocker !== undefined) return wanted;
  const { source } = object.spec;
  const origin = source?.clone?.volume ?? source?.snapshot?.volume;
  // Its blocks are where those of its source are; where else it is to be comes after.
  if (origin !== undefined) return besides(origin, agents);
  if (wanted.mirror !== undefined) return reachable(wanted.mirror, wanted.pool);
  return anywhere(object, view);
}

/** No agent that cannot be asked has another volume of a name that was made up for a claim. */
function isNameUnique({ metadata }: Volume): boolean {
  return metadata.labels?.[labels.claim] !== undefined;
}

function poolAt(mirror: AgentMirror, wanted: Placement): string | undefined {
  return wanted.mirror === mirror ? wanted.pool : undefined;
}

/** A clone shares the chunks of its source, so it is made in the same pool. */
function besides(origin: string, agents: Agents): Placement {
  const mirror = agents.holding(origin);
  if (mirror !== undefined) return reachable(mirror, undefined);
  const message = `there is no volume ${origin} to clone`;
  return { blocker: new TransshipError('NotFound', message) };
}

/** Of several pools that are named, the first whose agent answers: the others come after. */
function poolOf(object: Volume, { agents, pools }: PlacementView): Placement {
  const names = object.spec.replicas?.map(({ pool }) => pool) ?? [];
  if (names.length === 0) return {};
  const members = membersOf(names, pools);
  if (members instanceof TransshipError) return { blocker: members };
  const known = members.flatMap(({ agent, at }) => {
    const mirror = agents.find(agent);
    return mirror === undefined ? [] : [{ mirror, pool: at }];
  });
  const first = known.find(({ mirror }) => mirror.usable) ?? known[0];
  if (first !== undefined) return first;
  const { pool, agent } = members[0]!;
  return { blocker: unreachable(`agent ${agent} of pool ${pool} is not one of this cluster`) };
}

/** Pools with so much of the most room are as good: those of one disk never have quite the same. */
const sameRoom = 0.9;

/**
 * The node that was chosen for the first pod; else, of the pools with the most room, that of the
 * agent with the fewest volumes. None that everything is to leave.
 */
function anywhere(object: Volume, { agents, pools }: PlacementView): Placement {
  const draining = new Set<string>();
  for (const pool of pools.list()) {
    const member = pool.spec.drain === undefined ? undefined : memberOf(pool);
    if (member !== undefined) draining.add(memberText(member));
  }
  const usable = agents.all.filter((mirror) => mirror.usable);
  const places = usable.flatMap((mirror) => {
    const agent = mirror.place.name;
    return [...mirror.pools].map(([pool, { status }]) => {
      const isOpen = !status.readOnly && !draining.has(memberText({ agent, at: pool }));
      return { mirror, pool, room: isOpen ? status.freeBytes : -1 };
    });
  });
  const most = Math.max(-1, ...places.map(({ room }) => room));
  const chosen = object.metadata.annotations?.[annotations.selectedNode];
  if (places.length > 0 && most < 0) return { blocker: noPlace(places) };
  const open = places.filter(({ room }) => room >= 0);
  const best =
    open.find(({ mirror }) => mirror.place.name === chosen) ??
    open
      .filter(({ room }) => room >= most * sameRoom)
      .toSorted((a, b) => a.mirror.volumes.size - b.mirror.volumes.size)[0];
  if (best === undefined) return { blocker: notRead(agents) };
  // An agent with one pool needs not be told.
  return best.mirror.pools.size > 1
    ? { mirror: best.mirror, pool: best.pool }
    : { mirror: best.mirror };
}

/** A disk that failed is the first thing to know; else there is no room. */
function noPlace(places: readonly { readonly mirror: AgentMirror; readonly pool: string }[]) {
  const failed = places.find(({ mirror, pool }) => {
    return mirror.pools.get(pool)?.status.phase === 'Failed';
  });
  if (failed === undefined) {
    const message = 'no pool takes new volumes: each is full, or being drained';
    return new TransshipError('ReadOnly', message);
  }
  const { mirror, pool } = failed;
  const where = `pool ${pool} of agent ${mirror.place.name}`;
  return new TransshipError('DiskFailed', `the disk of ${where} failed, and no other has room`);
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
