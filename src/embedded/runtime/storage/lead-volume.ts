/**
 * A volume for a pod of one node, wherever its data is: the node's agent becomes the one writer,
 * after the one before it has let go, or has been lost. Who still writes keeps the volume.
 */
import type { ControlClient } from '../../../api/control-client.ts';
import type { ReplicaSetObject, VolumeObject } from '../../../api/objects.ts';
import { asTransshipError, fail } from '../../../base/errors.ts';

/** What an agent has of the volume, as far as it says. */
interface Sight {
  readonly agent: ControlClient;
  readonly set: ReplicaSetObject | undefined;
  readonly view: VolumeObject | undefined;
}

/**
 * Resolves when `own` serves the volume. `InUse` while another node has it open, `NotFound` when
 * none of the agents that answer has it, and what the agents say.
 */
export async function leadVolume(
  volume: string,
  own: ControlClient,
  others: readonly ControlClient[],
): Promise<void> {
  const here = await look(own, volume);
  if (here.set?.role === 'Leader' || (here.set === undefined && here.view !== undefined)) return;
  const sights = await Promise.all(others.map((agent) => lookIfThere(agent, volume)));
  const seen = sights.filter((one) => one !== undefined);
  const wanted = await takeFrom(volume, [here, ...seen]);
  await own.call('replica.lead', { volume, members: wanted.join(',') });
}

/** The members of the set, which nobody leads any more. */
async function takeFrom(volume: string, sights: readonly Sight[]): Promise<readonly string[]> {
  const leader = sights.find(({ set }) => set?.role === 'Leader');
  if (leader !== undefined) {
    const { wanted } = leader.set!;
    await leader.agent.call('replica.yield', { volume });
    return wanted;
  }
  const follower = newestOf(sights);
  if (follower !== undefined) return follower.wanted;
  const plain = sights.find(({ view }) => view !== undefined);
  if (plain === undefined) {
    return fail('NotFound', `no agent that answers has volume ${volume}; a node of it may be down`);
  }
  const members = `${plain.agent.cluster}/${plain.view!.spec.pool}`;
  await plain.agent.call('replica.lead', { volume, members });
  await plain.agent.call('replica.yield', { volume });
  return [members];
}

function newestOf(sights: readonly Sight[]): ReplicaSetObject | undefined {
  const sets = sights.flatMap(({ set }) => set ?? []);
  return sets.toSorted((a, b) => b.epoch - a.epoch || b.sequence - a.sequence)[0];
}

async function look(agent: ControlClient, volume: string): Promise<Sight> {
  const [set, view] = await Promise.all([
    unlessMissing(agent.call('replica.show', { volume })),
    unlessMissing(agent.call('volume.show', { name: volume })),
  ]);
  return { agent, set, view };
}

async function lookIfThere(agent: ControlClient, volume: string): Promise<Sight | undefined> {
  try {
    return await look(agent, volume);
  } catch (error) {
    if (asTransshipError(error).reason !== 'AgentUnreachable') throw error;
    return undefined;
  }
}

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    const { reason } = asTransshipError(error);
    // An agent that only keeps a replica refuses to show it as a volume of its own.
    if (reason === 'NotFound' || reason === 'Conflict' || reason === 'Unsupported') {
      return undefined;
    }
    throw error;
  }
}
