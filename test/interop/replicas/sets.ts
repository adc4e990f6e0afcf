// Replicated volumes of real agents: asked for, waited for, compared.
import type { ReplicaSetObject } from '../../../src/api/objects.ts';
import { type Agent, until } from '../cloud.ts';
import { assertAlike } from '../replica/nodes.ts';
import type { Writer } from './writer.ts';

/** A rebuild of what these tests write takes seconds; of busy machines, more. */
const wholeMs = 110_000;

export function membersOf(agents: readonly Agent[]): string {
  return agents.map(({ name }) => `${name}/main`).join(',');
}

export async function setOf(leader: Agent, volume: string): Promise<ReplicaSetObject> {
  return leader.call('replica.show', { volume });
}

/** Exactly these have a replica that counts and lacks nothing. */
export async function whole(leader: Agent, volume: string, members: readonly Agent[]) {
  const wanted = members.map(({ name }) => name).toSorted((a, b) => a.localeCompare(b));
  let last: ReplicaSetObject | undefined;
  const isWhole = async (): Promise<boolean> => {
    last = await setOf(leader, volume);
    const good = last.replicas.filter(({ voter, state }) => voter && state === 'Healthy');
    const names = good.map(({ agent }) => agent).toSorted((a, b) => a.localeCompare(b));
    return names.join() === wanted.join() && last.replicas.length === wanted.length;
  };
  try {
    await until(`${volume} to be whole at ${wanted.join(', ')}`, isWhole, wholeMs);
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${JSON.stringify(last)}`, { cause: error });
  }
}

/** The leader knows that this one's replica does not count. */
export async function missed(leader: Agent, volume: string, member: Agent): Promise<void> {
  await until(`${leader.name} to miss the replica of ${member.name}`, async () => {
    const { replicas } = await setOf(leader, volume);
    return replicas.every(({ agent, state }) => agent !== member.name || state !== 'Healthy');
  });
}

/** Makes it lead, and waits until all members are whole. */
export async function lead(
  leader: Agent,
  volume: string,
  members: readonly Agent[],
  sizeBytes?: number,
): Promise<void> {
  const size = sizeBytes === undefined ? {} : { sizeBytes };
  await leader.call('replica.lead', { volume, members: membersOf(members), ...size });
  await whole(leader, volume, members);
}

/** As a new leader after the loss of another: a majority has to be there first. */
export async function takeOver(leader: Agent, volume: string, members: readonly Agent[]) {
  const request = { volume, members: membersOf(members) };
  await until(`${leader.name} to lead ${volume}`, async () => {
    const set = await leader.call('replica.lead', request).catch(() => undefined);
    return set?.role === 'Leader' && set.phase !== 'Offline';
  });
}

/** The leader acknowledges more than it had, and the writer has nothing to complain of. */
export async function goesOn(leader: Agent, volume: string, writer: Writer): Promise<void> {
  const { sequence } = await setOf(leader, volume);
  await until('writes to go on', async () => {
    if (writer.problem !== undefined) await writer.stop();
    return (await setOf(leader, volume)).sequence > sequence + 20;
  });
}

/**
 * All replicas of `db` are whole and equal to the byte. Asked until it is so: one that is behind
 * may fall out of step once more before.
 */
export async function alike(leader: Agent, agents: readonly Agent[]): Promise<void> {
  let last: unknown;
  const isSo = async (): Promise<boolean> => {
    await whole(leader, 'db', agents);
    try {
      await assertAlike(agents);
      return true;
    } catch (error) {
      last = error;
      return false;
    }
  };
  await until('replicas that are alike', isSo).catch(() => {
    throw last;
  });
}
