/** Trust between agents: of one cluster as fellows, of two as peers. */
import type { ControlClient } from '../../api/control-client.ts';
import { asTransshipError } from '../../base/errors.ts';
import type { Agents } from '../ports.ts';

/** Each agent of one cluster with each other; what knows each other already is left alone. */
export async function joinFellows(agents: Agents, cluster: string): Promise<void> {
  const all = agents.agentsOf(cluster).map((name) => agents.connect(name));
  for (const [at, one] of all.entries()) {
    for (const other of all.slice(at + 1)) await join(one, other, true);
  }
}

/** Each agent of a cluster with each of another: any of them may have the volume that moves. */
export async function joinClusters(agents: Agents, first: string, second: string): Promise<void> {
  for (const one of agents.agentsOf(first)) {
    for (const other of agents.agentsOf(second)) {
      await join(agents.connect(one), agents.connect(other), false);
    }
  }
}

async function join(one: ControlClient, other: ControlClient, member: boolean): Promise<void> {
  const { items } = await one.call('cluster.list', {});
  if (items.some(({ metadata }) => metadata.name === other.cluster)) return;
  const { token } = await one.call('cluster.token', member ? { member } : {});
  await other.call('cluster.join', member ? { token, member } : { token });
}

/** Ends the trust of all agents of a cluster in all of another. False when there was none. */
export async function endTrustIn(
  agents: readonly ControlClient[],
  request: { readonly name: string; readonly force: boolean },
): Promise<boolean> {
  let hadTrust = false;
  for (const agent of agents) {
    const { items } = await agent.call('cluster.list', {});
    const members = items.filter(({ spec }) => spec.memberOf === request.name && !spec.local);
    for (const name of [request.name, ...members.map(({ metadata }) => metadata.name)]) {
      if (await removePeer(agent, { ...request, name })) hadTrust = true;
    }
  }
  return hadTrust;
}

async function removePeer(
  agent: ControlClient,
  request: { readonly name: string; readonly force: boolean },
): Promise<boolean> {
  try {
    await agent.call('cluster.remove', request);
    return true;
  } catch (error) {
    if (asTransshipError(error).reason !== 'NotFound') throw error;
    return false;
  }
}
