// Agents of one cluster for the tests of replicas: real processes, joined as its own agents.
import assert from 'node:assert/strict';
import type { ReplicaSetObject } from '../../../src/api/objects.ts';
import { asTransshipError } from '../../../src/base/errors.ts';
import { type Agent, Cloud, type CloudOptions, until } from '../cloud.ts';

export interface Nodes extends AsyncDisposable {
  readonly cloud: Cloud;
  readonly agents: readonly Agent[];
}

/** `east`, `east-2`, ...: each joined with each. */
export async function startNodes(count: number, options: CloudOptions = {}): Promise<Nodes> {
  const cloud = new Cloud(options);
  const names = Array.from({ length: count }, (_, i) => (i === 0 ? 'east' : `east-${i + 1}`));
  const agents = names.map((name) => cloud.adopt(name, name === 'east' ? undefined : 'east'));
  try {
    for (const agent of agents) {
      const way = options.relays === true ? await agent.openRelay(options.delayMs) : {};
      await agent.start(way);
    }
    for (const [i, first] of agents.entries()) {
      for (const second of agents.slice(i + 1)) {
        const { token } = await first.call('cluster.token', { member: true });
        await second.call('cluster.join', { token, member: true });
        await first.connected(second.name);
        await second.connected(first.name);
      }
    }
  } catch (error) {
    await cloud.close();
    throw error;
  }
  return { cloud, agents, [Symbol.asyncDispose]: () => cloud.close() };
}

export function membersOf(agents: readonly Agent[]): string {
  return agents.map(({ name }) => `${name}/main`).join(',');
}

/** Asked until it is so: agents that were just killed are missed at first. */
export async function lead(
  leader: Agent,
  members: readonly Agent[],
  sizeBytes?: number,
): Promise<void> {
  const size = sizeBytes === undefined ? {} : { sizeBytes };
  const request = { volume: 'db', members: membersOf(members), ...size };
  await until(`${leader.name} to lead`, async () => {
    try {
      await leader.call('replica.lead', request);
      return true;
    } catch (error) {
      const { retryable, reason } = asTransshipError(error);
      if (retryable || reason === 'Fenced') return false;
      throw error;
    }
  });
}

export async function healthy(leader: Agent, count: number): Promise<ReplicaSetObject> {
  let set: ReplicaSetObject | undefined;
  await until(
    `${count} healthy replicas`,
    async () => {
      set = await leader.call('replica.show', { volume: 'db' });
      return set.phase === 'Healthy' && set.replicas.length === count;
    },
    180_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(set)}`);
  });
  return set!;
}

/** Every replica is whole, and all are equal to the byte: equal roots. */
export async function assertAlike(agents: readonly Agent[]): Promise<void> {
  const roots: string[] = [];
  for (const agent of agents) {
    const report = await agent.job('volume.verify', { volume: 'db', deep: true });
    assert.equal(report.passed, true, `${agent.name}: ${JSON.stringify(report.findings)}`);
    roots.push((await agent.volume('db')).status.root);
  }
  assert.equal(new Set(roots).size, 1, `roots: ${roots.join(', ')}`);
}
