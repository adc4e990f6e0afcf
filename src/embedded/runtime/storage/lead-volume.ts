/**
 * A volume for a pod of one node, wherever its data is: the node's agent has to become its one
 * writer. Who leads is the controllers' decision alone; here it is asked for, and waited for.
 */
import type { ControlClient } from '../../../api/control-client.ts';
import type { ReplicaSetObject, VolumeObject } from '../../../api/objects.ts';
import { asTransshipError, fail } from '../../../base/errors.ts';
import type { Clock } from '../../../base/ports.ts';
import { sleep } from '../../../base/sleep.ts';

/** Then the pod says why it waits, and asks again. */
const patienceMs = 30_000;
const lookMs = 250;

export interface LeadPorts {
  readonly clock: Clock;
  readonly own: ControlClient;
  /** Agents of the other nodes. */
  readonly others: readonly ControlClient[];
  /** Asks the controllers that this agent lead the volume. */
  readonly wish: (volume: string, agent: string) => Promise<void>;
}

/** What an agent has of the volume, as far as it says. */
interface Sight {
  readonly agent: ControlClient;
  readonly set: ReplicaSetObject | undefined;
  readonly view: VolumeObject | undefined;
}

/**
 * Resolves when `own` serves the volume. `InUse` while another node has it or its agent is not
 * known to be lost, `NotFound` when none of the agents that answer has it, and what the agents say.
 */
export async function leadVolume(volume: string, ports: LeadPorts): Promise<void> {
  const { clock, own, others, wish } = ports;
  const here = await look(own, volume);
  if (servesIt(here)) return;
  const sights = await Promise.all(others.map((agent) => lookIfThere(agent, volume)));
  const seen = [here, ...sights.filter((one) => one !== undefined)];
  if (seen.every(({ set }) => set === undefined)) await makeSet(volume, seen);
  await wish(volume, own.cluster);
  const deadlineMs = clock.monotonicMs() + patienceMs;
  while (clock.monotonicMs() < deadlineMs) {
    if (servesIt(await look(own, volume))) return;
    await sleep(clock, lookMs);
  }
  const leader = seen.find(({ set }) => set?.role === 'Leader')?.agent.cluster;
  const who = leader === undefined ? 'another node' : `node ${leader}`;
  fail('InUse', `volume ${volume} is with ${who}, which has not let it go yet`);
}

function servesIt({ set, view }: Sight): boolean {
  return set === undefined ? view !== undefined : set.role === 'Leader';
}

/** One that no other node could use becomes a set of one replica, which any agent may lead. */
async function makeSet(volume: string, sights: readonly Sight[]): Promise<void> {
  const plain = sights.find(({ view }) => view !== undefined);
  if (plain === undefined) {
    fail('NotFound', `no agent that answers has volume ${volume}; its node may be down`);
  }
  const members = `${plain.agent.cluster}/${plain.view!.spec.pool}`;
  await plain.agent.call('replica.lead', { volume, members });
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

/** An agent that only keeps a replica refuses to show it as a volume of its own. */
async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (asTransshipError(error).reason === 'AgentUnreachable') throw error;
    return undefined;
  }
}
