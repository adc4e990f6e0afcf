/** Clusters of several nodes: an agent for each, looked after while `up` stays. */
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import type { Cli } from '../context.ts';
import type { Agents, StartAgent } from '../ports.ts';
import { sleep } from '../../base/sleep.ts';

/** One machine has to carry them all. */
const nodesMax = 16;
const againMsMin = 1_000;
const againMsMax = 30_000;
/** One that ran for so long and ended is started again at once. */
const steadyMs = 60_000;

/** `BadArgument` unless it is a number of nodes. */
export function parseNodes(text: string): number {
  const count = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= nodesMax) return count;
  return fail('BadArgument', `'${text}' is not a number of nodes; there may be 1 to ${nodesMax}`);
}

/** Names of the nodes beside the first, which is named as the cluster. */
export function furtherNodes(cluster: string, count: number): readonly string[] {
  const numbers = Array.from({ length: count - 1 }, (_, at) => at + 2);
  return numbers.map((number) => checkName(`${cluster}-${number}`, 'cluster'));
}

/**
 * How many nodes a cluster is started with: as many as last time when nothing is said. `Conflict`
 * when some would be left out, because their pools have data; `InUse` when it runs with fewer.
 */
export function nodeCount(
  agents: Agents,
  cluster: string,
  wanted: { readonly count: number | undefined; readonly isRunning: boolean },
): number {
  const had = agents.agentsOf(cluster).length;
  const count = wanted.count ?? had;
  if (count < had) {
    fail('Conflict', `cluster ${cluster} has ${had} nodes, and their pools may have data`);
  }
  if (count > had && wanted.isRunning) {
    const runs = `cluster ${cluster} runs with ${had} node${had === 1 ? '' : 's'}`;
    fail('InUse', `${runs}; stop it before it gets more: transship down ${cluster}`);
  }
  return count;
}

/**
 * Starts agents again that end while their control plane runs, which `transship down` stops first.
 * Resolves when that one is gone.
 */
export async function keepNodes(
  cli: Cli,
  cluster: string,
  starts: readonly StartAgent[],
): Promise<void> {
  await Promise.all(starts.map((start) => keepNode(cli, cluster, start)));
}

async function keepNode(cli: Cli, cluster: string, start: StartAgent): Promise<void> {
  const { agents, planes, clock } = cli.ports;
  let againMs = againMsMin;
  for (;;) {
    const beganMs = clock.monotonicMs();
    const onEvent = () => undefined;
    const client = agents.connect(start.name);
    await client.stream('agent.events', { follow: true }, { onEvent }).catch(() => undefined);
    if (clock.monotonicMs() - beganMs >= steadyMs) againMs = againMsMin;
    await sleep(clock, againMs);
    if (!planes.isRunning(cluster)) return;
    cli.note(`Node ${start.name} ended; it is started again.`);
    againMs = Math.min(againMs * 2, againMsMax);
    await agents.start(start).catch((error: unknown) => {
      cli.note(`Node ${start.name} did not start: ${(error as Error).message}`);
    });
  }
}
