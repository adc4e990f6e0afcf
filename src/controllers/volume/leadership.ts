/**
 * Which agent leads a replicated volume, and when another is to. It stays where it is used; it
 * moves when its agent is gone, when somebody wants to use the volume elsewhere, or when its agent
 * keeps no replica any more. Storage fences the old leader, so a mistake here costs time, no data.
 */
import type { Volume } from '../../api/kinds/volume.ts';
import type { ReplicaSetObject } from '../../api/objects.ts';
import { TransshipError } from '../../base/errors.ts';
import type { AgentMirror } from '../agents/mirror.ts';
import type { Agents } from '../agents/agents.ts';
import { annotations } from '../labels.ts';

/** An agent that restarts is back by then; clients of its doors wait longer than that. */
export const leaderLostMs = 15_000;

export interface Leadership {
  /** The agent that leads, or is to lead and has not begun. */
  readonly mirror: AgentMirror | undefined;
  /** What it says of the set, while it leads. */
  readonly view: ReplicaSetObject | undefined;
  /** Why nobody can be asked now. */
  readonly blocker: TransshipError | undefined;
  /** When to look again although nothing was told. */
  readonly againMs: number | undefined;
  /** Another agent is to lead: it is written down before anything else is done about it. */
  readonly to: AgentMirror | undefined;
  /** That is written down already, and this one lets go of it first. */
  readonly from: string | undefined;
  /** Why it does not let go of it. */
  readonly held: TransshipError | undefined;
}

type Known = Pick<Agents, 'all' | 'find' | 'leading'>;

/** Whether there are, or were, several replicas of it. */
export function isReplicated(object: Volume, agents: Pick<Agents, 'all'>): boolean {
  if (object.status?.replicaSet !== undefined) return true;
  const { name = '' } = object.metadata;
  return agents.all.some(({ sets }) => sets.has(name));
}

const nothing = {
  view: undefined,
  blocker: undefined,
  againMs: undefined,
  to: undefined,
  from: undefined,
  held: undefined,
} as const;

/** Of a replicated volume. */
export function leadershipOf(object: Volume, agents: Known): Leadership {
  const { name = '', annotations: notes } = object.metadata;
  const chosen = notes?.[annotations.agent];
  const leading = agents.leading(name);
  const annotated = chosen === undefined ? undefined : agents.find(chosen);
  if (leading?.usable === true) return whileLed(object, leading, annotated, agents);
  if (annotated?.usable !== true) return whileLost(object, leading ?? annotated, agents);
  // Nobody leads it, and this one is to.
  return { ...nothing, mirror: annotated, to: wished(object, annotated, agents) };
}

function whileLed(
  object: Volume,
  leading: AgentMirror,
  annotated: AgentMirror | undefined,
  agents: Known,
): Leadership {
  const { name = '' } = object.metadata;
  const here = { ...nothing, mirror: leading, view: leading.sets.get(name) };
  // While nobody leads, the members are those of the status: they are told before it moves.
  if (object.status?.replicaSet === undefined) return here;
  const to = wished(object, annotated ?? leading, agents);
  if (to !== undefined) return { ...here, to };
  if (annotated === undefined || annotated === leading || !annotated.usable) {
    return { ...here, to: betterPlace(object, leading, agents) };
  }
  const { name: from } = leading.place;
  const users = doorsOf(object, leading);
  if (users.length === 0) return { ...here, from };
  const message =
    `${users.join(', ')} uses it at agent ${from}; when that ends, ` +
    `agent ${annotated.place.name} leads it`;
  return { ...here, held: new TransshipError('InUse', message) };
}

function doorsOf({ metadata }: Volume, mirror: AgentMirror): readonly string[] {
  return mirror.volumes.get(metadata.name ?? '')?.status.doors ?? [];
}

function wished(object: Volume, mirror: AgentMirror, agents: Known): AgentMirror | undefined {
  const wish = object.metadata.annotations?.[annotations.lead];
  if (wish === undefined || wish === mirror.place.name) return undefined;
  const found = agents.find(wish);
  return found?.usable === true ? found : undefined;
}

/** A leader without a replica reads everything from others: nobody is hindered when it moves. */
function betterPlace(object: Volume, mirror: AgentMirror, agents: Known): AgentMirror | undefined {
  const agent = mirror.place.name;
  const view = mirror.sets.get(object.metadata.name ?? '');
  if (view?.phase !== 'Healthy' || doorsOf(object, mirror).length > 0) return undefined;
  // Who asked for it opens its door in a moment.
  if (object.metadata.annotations?.[annotations.leadGranted] === agent) return undefined;
  if (view.replicas.some((one) => one.agent === agent)) return undefined;
  if (view.wanted.some((text) => text.startsWith(`${agent}/`))) return undefined;
  const healthy = view.replicas.filter(({ state, voter }) => voter && state === 'Healthy');
  return healthy.map((one) => agents.find(one.agent)).find((one) => one?.usable === true);
}

function whileLost(object: Volume, lost: AgentMirror | undefined, agents: Known): Leadership {
  const chosen = object.metadata.annotations?.[annotations.agent];
  const name = lost?.place.name ?? chosen ?? 'that led it';
  const nobody = { ...nothing, mirror: lost };
  const message = whyLost(lost, name);
  const silentMs = lost === undefined ? leaderLostMs : lost.silentMs;
  if (silentMs < leaderLostMs) {
    const seconds = leaderLostMs / 1000;
    const then = `another agent leads it when this takes longer than ${seconds} s`;
    const blocker = new TransshipError('AgentUnreachable', `${message}; ${then}`);
    return { ...nobody, blocker, againMs: Math.max(100, leaderLostMs - silentMs) };
  }
  const to = successor(object, name, agents);
  if (to === undefined) {
    const why = `${message}, and no other agent that has a replica can be asked`;
    const blocker = new TransshipError('QuorumLost', `${why}: bring one of them back`);
    return { ...nobody, blocker, againMs: leaderLostMs };
  }
  return { ...nothing, mirror: to, to };
}

function whyLost(lost: AgentMirror | undefined, name: string): string {
  if (lost === undefined) return `agent ${name} is not one of this cluster any more`;
  return lost.trouble?.message ?? `agent ${name} has not answered yet`;
}

/** The one that has seen the latest write; the storage itself decides by what a majority says. */
function successor(object: Volume, lost: string, agents: Known): AgentMirror | undefined {
  const { name = '' } = object.metadata;
  const keepers = new Set(
    (object.status?.replicas ?? [])
      .filter(({ voter, state }) => voter === true && state === 'Healthy')
      .map(({ agent }) => agent),
  );
  const rank = (mirror: AgentMirror): readonly number[] => {
    const set = mirror.sets.get(name);
    const isHealthy = keepers.has(mirror.place.name);
    return [isHealthy ? 1 : 0, set?.epoch ?? -1, set?.sequence ?? -1];
  };
  const able = agents.all.filter((mirror) => {
    const { name: agent } = mirror.place;
    const keeps = keepers.has(agent) || mirror.sets.has(name);
    return mirror.usable && agent !== lost && keeps;
  });
  return able.toSorted((a, b) => compare(rank(b), rank(a)))[0];
}

function compare(one: readonly number[], other: readonly number[]): number {
  for (const [index, value] of one.entries()) {
    if (value !== other[index]) return value - other[index]!;
  }
  return 0;
}
