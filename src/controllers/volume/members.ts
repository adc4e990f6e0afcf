/** Pools of a spec as agents know them: which agent keeps which replica. Pure. */
import type { Pool } from '../../api/kinds/pool.ts';
import type { ReplicaView } from '../../api/objects.ts';
import { TransshipError } from '../../base/errors.ts';
import { labels } from '../labels.ts';

/** One place for a replica. */
export interface Member {
  /** The name of the Pool object. */
  readonly pool: string;
  readonly node: string;
  readonly agent: string;
  /** The name that the agent has for the pool. */
  readonly at: string;
}

export interface PoolsView {
  find(name: string): Pool | undefined;
  list(): Iterable<Pool>;
}

/** `agent/pool`, as agents name members to each other. */
export function memberText({ agent, at }: Pick<Member, 'agent' | 'at'>): string {
  return `${agent}/${at}`;
}

/** Undefined for a pool that no agent of this cluster has. */
export function memberOf({ metadata, spec }: Pool): Member | undefined {
  const { [labels.agent]: agent, [labels.pool]: at } = metadata.labels ?? {};
  if (agent === undefined || at === undefined) return undefined;
  return { pool: metadata.name ?? '', node: spec.node, agent, at };
}

/** The members that a spec names, or why there cannot be such a set. */
export function membersOf(
  names: readonly string[],
  pools: PoolsView,
): readonly Member[] | TransshipError {
  const members: Member[] = [];
  for (const name of names) {
    const pool = pools.find(name);
    const member = pool === undefined ? undefined : memberOf(pool);
    if (member === undefined) return unknownPool(name, pools);
    const other = members.find(({ agent }) => agent === member.agent);
    if (other !== undefined) return sameAgent(other, member);
    members.push(member);
  }
  return members;
}

function unknownPool(name: string, pools: PoolsView): TransshipError {
  const known = [...pools.list()].map(({ metadata }) => metadata.name ?? '').toSorted();
  const there = known.length === 0 ? 'there are none' : `there are ${known.join(', ')}`;
  return new TransshipError('NotFound', `there is no pool ${name} in this cluster (${there})`);
}

function sameAgent(one: Member, other: Member): TransshipError {
  const message =
    `pools ${one.pool} and ${other.pool} are both of node ${one.node}: ` +
    'replicas of one volume are kept by different nodes; choose a pool of another one';
  return new TransshipError('Invalid', message);
}

/** The Pool object behind what an agent calls `agent/pool`. */
export class MemberNames {
  readonly #byText = new Map<string, Member>();

  constructor(pools: Iterable<Pool>) {
    for (const pool of pools) {
      const member = memberOf(pool);
      if (member !== undefined) this.#byText.set(memberText(member), member);
    }
  }

  /** A pool whose object is not there (yet) has the name that its agent gives it. */
  find({ agent, pool: at }: Pick<ReplicaView, 'agent' | 'pool'>): Member {
    const text = memberText({ agent, at });
    return this.#byText.get(text) ?? { pool: at, node: agent, agent, at };
  }

  findText(text: string): Member {
    const cut = text.indexOf('/');
    return this.find({ agent: text.slice(0, cut), pool: text.slice(cut + 1) });
  }
}

export function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text) => other.includes(text));
}
